"""Short recordings, and the data module on them."""

from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from sequnet_pl.data.datamodule import AudioDataModule


def noise(
    path: Path, seconds: float = 0.3, seed: int = 0, rate: int = 1000, channels: int = 1, subtype: str | None = None
) -> Path:
    samples = np.random.default_rng(seed).uniform(-0.5, 0.5, (round(seconds * rate), channels))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:  # soundfile takes no name that is not UTF-8
        soundfile.write(file, samples, rate, subtype=subtype, format=path.suffix[1:].upper())
    return path


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
