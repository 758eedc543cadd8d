"""What sample.py has left in a folder."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from sequnet_pl.audio.files import read_codes

RATE = 16_000


def made(folder: Path = Path("generated")) -> list[dict[str, Any]]:
    """The list of clips."""
    return json.loads((folder / "clips.json").read_text())["clips"]


def codes(path: Path) -> np.ndarray:
    """The codes of a clip (T,)."""
    return read_codes(path)
