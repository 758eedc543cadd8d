"""What sample.py has left in a folder."""

import json
from pathlib import Path
from typing import Any

from sequnet_pl.audio.files import read_codes as codes

__all__ = ["RATE", "codes", "made"]

RATE = 16_000


def made(folder: Path = Path("generated")) -> list[dict[str, Any]]:
    """The list of clips."""
    return json.loads((folder / "clips.json").read_text())["clips"]
