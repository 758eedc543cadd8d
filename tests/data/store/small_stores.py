"""Stores of a few short recordings."""

import json
from pathlib import Path

import numpy as np
import soundfile as sf

from sequnet_pl.data import store


def noise(path: Path, seconds: float = 0.2, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, np.random.default_rng(seed).uniform(-0.9, 0.9, round(seconds * 16_000)), 16_000)
    return path


def make(folder: Path, paths: list[Path], **options) -> store.Report:
    return store.make_store({"train": paths}, folder, workers=1, progress=False, **options)


def left_behind(folder: Path) -> list[str]:
    named = {split["map"] for split in json.loads((folder / "index.json").read_text())["splits"].values()}
    return sorted({p.name for p in folder.iterdir()} - named - {"index.json", ".lock"})
