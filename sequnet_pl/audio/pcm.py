"""Codes as 16-bit PCM, the mono wav files that grow while their clips are made, and the way back; nothing is lost."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sequnet_pl import atomic
from sequnet_pl.audio import mulaw
from sequnet_pl.audio.decode import frames

_MOST_BYTES = 2**32 - 1 - 36  # the largest size in the header of a wav file
_TABLE = np.round(mulaw.decode(np.arange(mulaw.CLASSES)) * 32767).astype("<i2")  # no two codes share a sample


def to_pcm(codes: NDArray[np.uint8]) -> bytes:
    """Codes (T,) as signed 16-bit little-endian samples."""
    return _TABLE[codes].tobytes()


def wav_header(rate: int, samples: int | None = None) -> bytes:
    """The header of a mono 16-bit wav file; None is a length that is not known yet, as in a pipe."""
    size = _MOST_BYTES if samples is None else min(2 * samples, _MOST_BYTES)
    layout = (b"RIFF", 36 + size, b"WAVE", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16, b"data", size)
    return struct.pack("<4sI4s4sIHHIIHH4sI", *layout)


def read_codes(path: Path) -> Iterator[NDArray[np.uint8]]:
    """Yield the codes of a wav file that was written here, block by block. Raise UserError where it cannot be read."""
    for _, block in frames(path):
        yield mulaw.encode(block[:, 0])


class GrowingWav:
    """A wav file that is written as its samples come; see `growing_wav`."""

    def __init__(self, path: Path, temporary: Path) -> None:
        self.path, self.samples, self._temporary = path, 0, temporary

    def write(self, codes: NDArray[np.uint8]) -> None:
        """Append samples (T,). Raises OSError where there is no space; `samples` counts those that fitted."""
        try:  # opened anew, since a batch may have more clips than a process may open files
            with self._temporary.open("ab") as file:
                file.write(to_pcm(codes))
        finally:
            self.samples = (self._temporary.stat().st_size - len(wav_header(0))) // 2


@contextmanager
def growing_wav(path: Path, rate: int) -> Iterator[GrowingWav]:
    """A mono 16-bit wav file that appears under its name, whole, when the context is left; not after an exception.

    Raises UserError where it cannot be written.
    """
    with atomic.replacing(path) as temporary:
        temporary.write_bytes(wav_header(rate, 0))
        wav = GrowingWav(path, temporary)
        yield wav
        with temporary.open("r+b") as file:
            file.write(wav_header(rate, wav.samples))
