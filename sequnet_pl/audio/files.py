"""Audio files to mono samples at a rate, and back: find them, read them by blocks or in part, write clips."""

import logging
import os
import wave
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

import numpy as np
import soxr
from numpy.typing import NDArray

from sequnet_pl import atomic
from sequnet_pl.audio.decode import FFMPEG_SUFFIXES, Damaged, Decoder, Undecodable, Unfinished, frames
from sequnet_pl.errors import UsageError

SAMPLE_RATE = 16_000
"""Samples a second, where nothing else is asked for."""
SUFFIXES = FFMPEG_SUFFIXES | {
    *(".wav", ".wave", ".bwf", ".rf64", ".w64", ".aif", ".aiff", ".aifc", ".caf", ".au", ".snd"),
    *(".flac", ".ogg", ".oga", ".opus", ".mp3", ".wma"),
}
"""What counts as audio by its name: lower case, with the dot."""

Channel = Literal["mix", "left", "right"]
Made = TypeVar("Made")

log = logging.getLogger(__name__)


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
                elif os.path.islink(path):  # noqa: PTH114 (never raises)
                    try:
                        path.stat()
                    except OSError as error:  # it may lead to a folder
                        failed(error)
        seen.add(real)
    for paths in found:
        paths.sort(key=lambda path: path.relative_to(folder).as_posix())
    return found


def consume(
    path: Path,
    rate: int,
    use: Callable[[Iterator[NDArray[np.float32]]], Made],
    channel: Channel = "mix",
    start: float = 0.0,
    rates: set[int] | None = None,
) -> Made:
    """What `use` makes of the mono samples of a file at `rate` Hz, which it is given block by block (T,).

    Memory does not grow with the file's length. Where one decoder does not come to the end, `use` is called again with
    all that another one gives. `mix` is the mean of the channels; of a mono file every choice gives its one channel.
    Resampling may overshoot 1. The file's own rates are put into `rates`: one, or several of joined files.
    The blocks raise Undecodable where nothing can be used (NaN and infinite samples too), and, after the last block of
    a file that ends before its time, Damaged.
    """
    if rate <= 0:
        raise UsageError(f"a sample rate of {rate} Hz is not possible; it must be more than 0")
    least = 0.0
    for decoder in (Decoder.QUICK, Decoder.FFMPEG):
        try:
            source = frames(path, start, decoder, least)
            with closing(_mono(path, rate, channel, source, start, rates)) as blocks:
                return use(blocks)
        except Unfinished as unfinished:
            least = max(least, unfinished.seconds)
    with closing(_mono(path, rate, channel, frames(path, start, Decoder.LAST), start, rates)) as blocks:
        return use(blocks)


def read(path: Path, rate: int, start: float = 0.0, seconds: float | None = None) -> NDArray[np.float32]:
    """Mono samples (T,) of a part of a file at `rate` Hz: from `start` seconds on, `seconds` long or to its end.

    A shorter array where the file ends sooner. Raises Undecodable where nothing can be read there.
    """
    if start < 0 or (seconds is not None and seconds <= 0):
        raise UsageError(f"cannot read {seconds} s from {start} s on: a start is at least 0, a length more than 0")
    wanted = None if seconds is None else max(1, round(seconds * rate))

    def collect(blocks: Iterator[NDArray[np.float32]]) -> NDArray[np.float32]:
        parts: list[NDArray[np.float32]] = []
        count = 0
        try:
            for block in blocks:
                parts.append(block)
                count += len(block)
                if wanted is not None and count >= wanted:
                    break
        except Damaged as damage:
            log.warning("%s, and used as far as it decodes", damage)
        return np.concatenate(parts)[:wanted]

    return consume(path, rate, collect, start=start)


def write_wav(path: Path, samples: NDArray[np.floating], rate: int) -> None:
    """Write samples (T,), clipped to [-1, 1], as mono 16-bit PCM. Raises UserError where that fails."""
    pcm = np.round(np.clip(samples, -1.0, 1.0) * 32767).astype("<i2")
    with atomic.replacing(path) as temporary, temporary.open("wb") as file, wave.open(file, "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(rate)
        wav.writeframes(pcm.tobytes())


def _mono(
    path: Path,
    rate: int,
    channel: Channel,
    source: Iterator[tuple[int, NDArray[np.float32]]],
    start: float,
    rates: set[int] | None,
) -> Generator[NDArray[np.float32]]:
    resampler, resampled = None, rate  # what it takes in, in Hz
    damage: Damaged | None = None
    yielded, position = 0, start
    try:
        for source_rate, block in source:
            if rates is not None:
                rates.add(source_rate)
            mono = _one_channel(block, channel)
            if not np.isfinite(mono).all():
                where = position + int(np.argmin(np.isfinite(mono))) / source_rate
                raise Undecodable(path, f"it has NaN or infinite samples (the first at {where:.2f} s)")
            position += len(mono) / source_rate
            if source_rate != resampled:
                rest = _rest(resampler)
                resampler, resampled = None, source_rate
                if source_rate != rate:
                    resampler = soxr.ResampleStream(source_rate, rate, 1, dtype="float32")
                if len(rest):
                    yielded += len(rest)
                    yield rest
            if resampler is not None:
                mono = resampler.resample_chunk(mono)
            if len(mono):
                yielded += len(mono)
                yield mono
    except Damaged as error:
        damage = error
    if len(rest := _rest(resampler)):
        yielded += len(rest)
        yield rest
    if not yielded:
        raise Undecodable(path, f"it is shorter than one sample at {rate} Hz")
    if damage is not None:
        raise damage


def _rest(resampler: soxr.ResampleStream | None) -> NDArray[np.float32]:
    """What a resampler still holds."""
    nothing = np.empty(0, np.float32)
    return nothing if resampler is None else resampler.resample_chunk(nothing, last=True)


def _one_channel(block: NDArray[np.float32], channel: Channel) -> NDArray[np.float32]:
    """Frames (T, C) to samples (T,)."""
    channels = block.shape[1]
    if channel == "mix" and channels > 1:
        return block @ np.full(channels, 1 / channels, np.float32)  # thirty times faster than a mean over the last axis
    return np.ascontiguousarray(block[:, 1 if channel == "right" and channels > 1 else 0])
