"""Mono audio that is read part by part, so that an hour on disk is drawn in the memory of a minute."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import soundfile
from numpy.typing import NDArray

from sequnet_pl.errors import UserError


class Samples(Protocol):
    """Mono audio that is read by slices: a float32 array (T,), a memory map, or `FileSamples` of a file on disk."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> NDArray[np.float32]: ...


class FileSamples:
    """A sound file as `Samples`: each slice is read from disk when it is asked for, channels averaged.

    Raises UserError, when made or read, where the file is missing or is no sound that libsndfile reads.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as file:  # soundfile itself refuses names that are not UTF-8
                info = soundfile.info(file)
        except (soundfile.LibsndfileError, OSError) as error:
            raise UserError(f"cannot read {path}: {error}; give a wav or flac file") from error
        self._frames: int = info.frames
        self.rate: int = info.samplerate

    def __len__(self) -> int:
        return self._frames

    def __getitem__(self, part: slice, /) -> NDArray[np.float32]:
        start, stop, step = part.indices(self._frames)
        try:
            with self.path.open("rb") as file:
                read, _ = soundfile.read(file, start=start, stop=max(start, stop), dtype="float32", always_2d=True)
        except (soundfile.LibsndfileError, OSError) as error:
            raise UserError(f"cannot read {self.path}: {error}; was it changed meanwhile?") from error
        return read.mean(axis=1)[::step]


class Tail:
    """What follows sample `start` of other samples, without reading it."""

    def __init__(self, samples: Samples, start: int) -> None:
        self._samples = samples
        self._start = min(max(start, 0), len(samples))

    def __len__(self) -> int:
        return len(self._samples) - self._start

    def __getitem__(self, part: slice, /) -> NDArray[np.float32]:
        start, stop, step = part.indices(len(self))
        return self._samples[start + self._start : stop + self._start : step]


def blocks(samples: Samples, size: int) -> Iterator[NDArray[np.float32]]:
    """The samples one after the other in float32 arrays of `size`, the last one shorter."""
    for start in range(0, len(samples), size):
        yield np.asarray(samples[start : start + size], dtype=np.float32)
