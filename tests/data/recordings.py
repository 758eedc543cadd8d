"""Short recordings, stores of them, and the data module on them."""

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from sequnet_pl.audio import files, mulaw
from sequnet_pl.data.datamodule import AudioDataModule
from sequnet_pl.data.store import Report, make_store, open_split


def noise(
    path: Path, seconds: float = 0.3, seed: int = 0, rate: int = 1000, channels: int = 1, subtype: str | None = None
) -> Path:
    samples = np.random.default_rng(seed).uniform(-0.5, 0.5, (round(seconds * rate), channels))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:  # soundfile takes no name that is not UTF-8
        soundfile.write(file, samples, rate, subtype=subtype, format=path.suffix[1:].upper())
    return path


noise_16k = partial(noise, rate=16_000)


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def prepared(data_dir: Path, **options) -> AudioDataModule:
    settings: dict[str, Any] = {"sample_rate": 1000, "output_size": 64, "batch_size": 2, "num_workers": 0} | options
    data = AudioDataModule(data_dir=str(data_dir), **settings)
    data.prepare_data()
    data.setup("predict")
    return data


def lengths(data: AudioDataModule) -> list[list[int]]:
    return [split.lengths.tolist() for split in data.splits.values()]


def squeezed(text: str) -> str:
    """Return a printed table without spaces and folds."""
    return "".join(text.replace("\u2502", "").split())


def make(
    folder: Path,
    train: Iterable[Path] = (),
    val: Iterable[Path] = (),
    test: Iterable[Path] = (),
    **options,
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
