"""Recordings for tests."""

from pathlib import Path

import numpy as np
import soundfile


def tone(path: Path, seconds: float = 0.5, pitch: float = 440.0, rate: int = 16_000) -> Path:
    """A decaying tone as a wav file."""
    time = np.arange(round(seconds * rate)) / rate
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.6 * np.exp(-2 * time) * np.sin(2 * np.pi * pitch * time), rate)
    return path
