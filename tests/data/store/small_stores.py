"""Stores of a few short recordings."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import recordings

from sequnet_pl.audio import files, mulaw
from sequnet_pl.data.store import Report, make_store, open_split


def noise(path: Path, seconds: float = 0.2, seed: int = 0, rate: int = 16_000, channels: int = 1) -> Path:
    return recordings.noise(path, seconds, seed, rate, channels)


def make(
    folder: Path, train: Iterable[Path] = (), val: Iterable[Path] = (), test: Iterable[Path] = (), **options
) -> Report:
    parts = {"train": list(train), "val": list(val), "test": list(test)}
    return make_store(parts, folder, **{"workers": 1, "progress": False, **options})


def assert_holds(folder: Path, split: str, paths: list[Path], rate: int = 16_000) -> None:
    """The split holds exactly the codes of these files, in their order, and each recording describes itself."""
    opened = open_split(folder, split)
    assert [r.source for r in opened.recordings] == [str(p) for p in paths]
    for recording, path in zip(opened.recordings, paths, strict=True):
        codes = mulaw.encode(files.read(path, rate))
        assert np.array_equal(opened.codes[recording.offset :][: recording.length], codes)
        assert recording.rate == rate
        assert recording.silent == pytest.approx(np.mean(codes == 128))
    assert opened.offsets.dtype == opened.lengths.dtype == np.int64
    assert opened.lengths.tolist() == [r.length for r in opened.recordings]
    assert opened.offsets.tolist() == [r.offset for r in opened.recordings]


def on_disk(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.name not in (".lock", "index.json"))
