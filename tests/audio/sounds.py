"""A tone, files of it, and what is read of them."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

from sequnet_pl.audio import decode, files
from sequnet_pl.errors import UserError

try:
    FFMPEG = decode.ffmpeg()
except UserError:
    FFMPEG = ""
needs_ffmpeg = pytest.mark.skipif(not FFMPEG, reason="there is no ffmpeg here")


def sine(seconds: float, rate: int) -> np.ndarray:
    """A swelling 440 Hz tone (T,), so that a shift in time shows too."""
    time = np.arange(round(seconds * rate)) / rate
    return 0.5 * np.sin(2 * np.pi * 440 * time) * np.sin(np.pi * time / seconds) ** 2


def whole(path: Path, rate: int = 16_000, channel: files.Channel = "mix") -> np.ndarray:
    return files.consume(path, rate, lambda blocks: np.concatenate(list(blocks)), channel)


def encode(source: Path, target: Path, *options: str) -> Path:
    subprocess.run([FFMPEG, "-nostdin", "-v", "error", "-y", "-i", str(source), *options, str(target)], check=True)
    return target


def assert_close(samples: np.ndarray, expected: np.ndarray, error: float, slack: int = 1) -> None:
    assert samples.dtype == np.float32 and samples.ndim == 1
    assert abs(len(samples) - len(expected)) <= slack
    length = min(len(samples), len(expected))
    assert np.abs(samples[:length] - expected[:length]).max() < error
