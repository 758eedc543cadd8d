"""Audio files to mono samples at a rate, and back: find them, read them by blocks or in part, write clips."""

import os
import wave
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import soxr
from numpy.typing import NDArray

from sequnet_pl import atomic
from sequnet_pl.audio.decode import FFMPEG_SUFFIXES, Damaged, Undecodable, frames
from sequnet_pl.errors import UsageError

SAMPLE_RATE = 16_000
"""Samples a second, where nothing else is asked for."""
SUFFIXES = FFMPEG_SUFFIXES | {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au", ".w64", ".wma"}
"""What counts as audio by its name: lower case, with the dot."""

Channel = Literal["mix", "left", "right"]


class Found(NamedTuple):
    """What a folder holds: audio files, and what is called so or should hold some, but is none or cannot be opened."""

    files: list[Path]
    unread: list[Path]


def find(folder: Path) -> Found:
    """What is below `folder`, sorted by the path in it; hidden files and folders are passed over."""
    found = Found([], [])
    seen: set[str] = set()  # links are followed, so that a folder may lead back to itself

    def failed(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError | NotADirectoryError):
            found.unread.append(Path(error.filename))

    for name, folders, files in os.walk(folder, followlinks=True, onerror=failed):
        real = os.path.realpath(name)
        folders[:] = [] if real in seen else [f for f in folders if not f.startswith(".")]
        if real not in seen:
            for path in (Path(name, f) for f in files if not f.startswith(".")):
                if path.suffix.lower() in SUFFIXES:
                    (found.files if os.path.isfile(path) else found.unread).append(path)  # noqa: PTH113 (never raises)
        seen.add(real)
    for paths in found:
        paths.sort(key=lambda path: path.relative_to(folder).as_posix())
    return found


def blocks(path: Path, rate: int, channel: Channel = "mix") -> Iterator[NDArray[np.float32]]:
    """Yield the mono samples of a file at `rate` Hz, block by block (T,), in memory that does not grow with its length.

    `mix` is the mean of the channels; of a mono file every choice gives its one channel. Resampling may overshoot 1.
    Raises Undecodable where nothing can be used (NaN and infinite samples too), and, after the last block of a file
    that ends before its time, Damaged.
    """
    return _mono(path, rate, channel, start=0.0)


def read(path: Path, rate: int, start: float = 0.0, seconds: float | None = None) -> NDArray[np.float32]:
    """Mono samples (T,) of a part of a file at `rate` Hz: from `start` seconds on, `seconds` long or to its end.

    A shorter array where the file ends sooner. Raises Undecodable where nothing can be read there.
    """
    if start < 0 or (seconds is not None and seconds <= 0):
        raise UsageError(f"cannot read {seconds} s from {start} s on: a start is at least 0, a length more than 0")
    wanted = None if seconds is None else max(1, round(seconds * rate))
    parts: list[NDArray[np.float32]] = []
    count = 0
    try:
        with closing(_mono(path, rate, "mix", start)) as source:
            for block in source:
                parts.append(block)
                count += len(block)
                if wanted is not None and count >= wanted:
                    break
    except Damaged:
        pass  # what came before the damage is what there is
    return np.concatenate(parts)[:wanted]


def write_wav(path: Path, samples: NDArray[np.floating], rate: int) -> None:
    """Write samples (T,), clipped to [-1, 1], as mono 16-bit PCM. Raises UserError where that fails."""
    pcm = np.round(np.clip(samples, -1.0, 1.0) * 32767).astype("<i2")
    with atomic.replacing(path) as temporary, temporary.open("wb") as file, wave.open(file, "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(rate)
        wav.writeframes(pcm.tobytes())


def _mono(path: Path, rate: int, channel: Channel, start: float) -> Generator[NDArray[np.float32]]:
    if rate <= 0:
        raise UsageError(f"a sample rate of {rate} Hz is not possible; it must be more than 0")
    resampler: soxr.ResampleStream | None = None
    damage: Damaged | None = None
    yielded = position = 0
    try:
        for source_rate, block in frames(path, start):
            mono = _one_channel(block, channel)
            if not np.isfinite(mono).all():
                where = start + (position + int(np.argmin(np.isfinite(mono)))) / source_rate
                raise Undecodable(path, f"it has NaN or infinite samples (the first at {where:.2f} s)")
            position += len(mono)
            if source_rate != rate:
                resampler = resampler or soxr.ResampleStream(source_rate, rate, 1, dtype="float32")
                mono = resampler.resample_chunk(mono)
            if len(mono):
                yielded += len(mono)
                yield mono
    except Damaged as error:
        damage = error
    if resampler is not None:
        mono = resampler.resample_chunk(np.empty(0, np.float32), last=True)
        if len(mono):
            yielded += len(mono)
            yield mono
    if not yielded:
        raise Undecodable(path, f"it is shorter than one sample at {rate} Hz")
    if damage is not None:
        raise damage


def _one_channel(block: NDArray[np.float32], channel: Channel) -> NDArray[np.float32]:
    """Frames (T, C) to samples (T,)."""
    channels = block.shape[1]
    if channel == "mix" and channels > 1:
        return block @ np.full(channels, 1 / channels, np.float32)  # thirty times faster than a mean over the last axis
    return np.ascontiguousarray(block[:, 1 if channel == "right" and channels > 1 else 0])
