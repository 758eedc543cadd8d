"""Audio files to blocks of samples by FFmpeg's libraries (PyAV), in bounded memory. T time (samples), C channels.

A file is as long as it decodes, whatever its header declares. Three facts about FFmpeg that the code depends on:
a repeated log line is dropped unless `set_skip_repeated(False)`; an FFmpegError may be an OSError too; a file object
written in Python swallows a KeyboardInterrupt that comes while FFmpeg reads it, so FFmpeg gets a raw FileIO only.
"""

import errno
import logging
import math
import os
import stat
import struct
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, suppress
from io import FileIO
from itertools import chain, groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Literal, cast

import av
import av.logging
import numpy as np
import soxr
from av.container import InputContainer
from av.error import BlockingIOError as NotReadyError
from av.error import EOFError as EndOfFileError
from av.error import FFmpegError
from av.filter import Graph
from numpy.typing import NDArray

from sequnet_pl.errors import UserError

Channel = Literal["mix", "left", "right"]
Samples = NDArray[np.float32]

_FRAMES = 64  # frames of a codec in a block, mostly of 1024 to 4096 samples
# No playlists: one that is named .m4a would make FFmpeg open whatever it lists.
_CONTAINERS = "mov,matroska,webm,aac,mp3,ac3,ogg,flac,wav,w64,aiff,au,caf,asf"
_OPTIONS = {"format_whitelist": _CONTAINERS, "protocol_whitelist": "none"}
_TYPES = {"u8": np.uint8, "s16": np.int16, "s32": np.int32, "s64": np.int64, "flt": np.float32, "dbl": np.float64}
_NO_LOUDNESS = -70.0  # the value of FFmpeg's filter where no part of the signal passes its gate
_SLACK = 0.05  # seconds by which encoder delays may shorten a declared duration

av.logging.set_level(av.logging.WARNING)
av.logging.set_skip_repeated(False)
logging.getLogger("libav").setLevel(logging.CRITICAL)  # captured where it is needed, never printed


class AudioFileError(UserError):
    """A problem with one audio file. `reason` describes it without the file's name."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(path, reason)  # the arguments from which pickle rebuilds it in another process
        self.path, self.reason = path, reason

    def __str__(self) -> str:
        return f"cannot read {self.path}: {self.reason}"


class DecodeError(AudioFileError):
    """Nothing of the file can be used."""


class TruncatedAudioError(AudioFileError):
    """A warning, raised after the last block: the file is cut off, or some of its packets do not decode."""

    def __str__(self) -> str:
        return f"{self.path} is damaged: {self.reason}"


class UnavailableError(AudioFileError):
    """The operating system does not give the file now, but may do so later: no permission, a failing disk."""


def open_regular(path: Path) -> FileIO:
    """Open a regular file, unbuffered. Raise UnavailableError for anything else: opening a pipe would block."""
    try:
        file = FileIO(path, opener=lambda name, _: os.open(name, os.O_RDONLY | os.O_NONBLOCK))
    except OSError as error:
        raise UnavailableError(path, error.strerror or str(error)) from error
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise UnavailableError(path, "it is not a regular file")
    return file


def frames(path: Path) -> Generator[tuple[int, Samples]]:
    """Yield (rate in Hz, block (T, C)) of the default audio track; the rate may change.

    Raise DecodeError where nothing can be used, UnavailableError where the file cannot be opened or read, and, after
    the last block of a file that is cut off or has packets that do not decode, TruncatedAudioError.
    """
    with open_regular(path) as file:
        try:
            declared, options = _wav_header(path, file)
            with av.logging.Capture() as messages:
                container = av.open(file, "r", options=_OPTIONS | options)
            with container:
                if declared is None and not any("from bitrate" in message for *_, message in messages):
                    declared = _declared(container)
                yield from _decode(path, container, declared)
        except (FFmpegError, ValueError, OverflowError, OSError) as error:
            # EINVAL: a seek to a negative position, from an offset in a damaged file
            if isinstance(error, OSError) and not isinstance(error, FFmpegError) and error.errno != errno.EINVAL:
                raise UnavailableError(path, error.strerror or str(error)) from error
            raise DecodeError(path, "not audio that FFmpeg can read") from error


def _declared(container: InputContainer) -> float | None:
    """Return the seconds that a header declares, None where it declares none."""
    stream = container.streams.best("audio")
    if stream and container.format.name == "flac" and stream.start_time:
        return None  # a segment, whose header has the length of the whole
    if stream and stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return container.duration / av.time_base if container.duration and len(container.streams) == 1 else None


def _decode(path: Path, container: InputContainer, declared: float | None) -> Iterator[tuple[int, Samples]]:
    stream = container.streams.best("audio")
    if not isinstance(stream, av.AudioStream) or stream.codec_context is None:
        raise DecodeError(path, "it has no audio in a codec of FFmpeg")
    stream.codec_context.thread_count = 1  # files are decoded in parallel
    seconds, packets, failures, is_cut = 0.0, 0, list[float](), False
    batch, form = list[av.AudioFrame](), (0, "", 0)
    try:
        for packet in container.demux(stream):
            packets += 1
            is_cut = is_cut or (packet.is_corrupt and declared is None)
            try:
                decoded = packet.decode()
            except FFmpegError:
                failures.append(seconds)
                continue
            for frame in decoded:
                seconds += frame.samples / frame.sample_rate
                last, form = form, (frame.sample_rate, frame.format.name, frame.layout.nb_channels)
                if batch and (form != last or len(batch) == _FRAMES):
                    yield last[0], _floats(batch)
                    batch = []
                batch.append(frame)
    except FFmpegError:  # such as an ogg file that continues at another rate
        is_cut = True
    if batch:
        yield form[0], _floats(batch)
    if not seconds:
        raise DecodeError(path, "it holds no audio that can be decoded")
    if len(failures) > max(3, packets / 10):  # as where one codec is taken for another
        raise DecodeError(path, f"{len(failures)} of {packets} packets cannot be decoded")
    is_short = declared is not None and seconds + _SLACK < declared < math.inf
    if is_short or is_cut:
        of = f" of {declared:.2f} s" if is_short else ""
        raise TruncatedAudioError(path, f"it ends at {seconds:.2f} s{of}, cut off or damaged")
    if failures:
        reason = f"packets that cannot be decoded: {len(failures)}, the first at {failures[0]:.2f} s"
        raise TruncatedAudioError(path, reason)


def _floats(batch: list[av.AudioFrame]) -> Samples:
    """Convert frames of one sample format, whichever it is, to float32 (T, C)."""
    layout, channels = batch[0].format, batch[0].layout.nb_channels
    dtype = _TYPES[layout.packed.name]
    rows, width = (channels, 1) if layout.is_planar else (1, channels)
    raw = np.empty((rows, width * sum(frame.samples for frame in batch)), dtype)
    end = 0
    # Copied plane by plane: AudioFrame.to_ndarray takes a third of the time that mp3 takes to decode.
    for frame in batch:
        begin, end = end, end + frame.samples * width
        for row, plane in zip(raw, frame.planes, strict=True):
            row[begin:end] = np.frombuffer(cast(Any, plane), dtype, end - begin)  # a plane is a buffer
    raw = raw.T if layout.is_planar else raw.reshape(-1, channels)
    if raw.dtype.kind == "f":
        return raw.astype(np.float32, copy=False)
    scale = np.float32(0.5 ** (8 * raw.itemsize - 1))
    samples = raw.astype(np.float32) * scale  # cast first: int32 * float32 is float64
    return samples - np.float32(1) if raw.dtype == np.uint8 else samples


def _wav_header(path: Path, file: FileIO) -> tuple[float | None, dict[str, str]]:
    """Return the seconds that a wav header declares and FFmpeg's options for it.

    Infinite seconds where the size of the data is unknown, None for other files. FFmpeg believes a size that has
    wrapped (more than 4 GiB) or was never filled in, and drops the rest; what follows the data shows whether it did.
    """
    size = os.fstat(file.fileno()).st_size
    position, bytes_per_second = 12, 0
    magic = os.pread(file.fileno(), 4, 0)
    if magic == b"RIFX":
        raise DecodeError(path, "it is big-endian (RIFX), which FFmpeg does not support")
    while magic == b"RIFF" and len(head := os.pread(file.fileno(), 20, position)) >= 8:
        name, length = struct.unpack("<4sI", head[:8])
        position += 8 + length + length % 2
        if name == b"fmt " and len(head) == 20:
            (codec, bytes_per_second) = struct.unpack("<H6xI", head[8:20])
            if codec in (0x38, 0x40):  # FFmpeg takes the former for AMR, and swaps the nibbles of the latter
                raise DecodeError(path, "its codec, NMS ADPCM or G.721, is not supported")
        if name == b"data" and bytes_per_second:
            following = os.pread(file.fileno(), 4, position) if position + 8 <= size else b""
            is_padding = size - position < 1 << 16 and not following.strip(b"\0")
            is_chunk_name = all(32 <= byte < 127 for byte in following)
            if not (is_chunk_name or is_padding):
                return math.inf, {"ignore_length": "1"}
            is_placeholder = not length or any(abs(length - limit) < 1 << 16 for limit in (2**31, 2**32))
            return math.inf if is_placeholder else length / bytes_per_second, {}
    return None, {}


def mono(path: Path, rate: int, channel: Channel = "mix", rates: set[int] | None = None) -> Generator[Samples]:
    """Yield mono blocks (T,) at `rate` Hz; `mix` is the mean of the channels. Add the file's own rates to `rates`.

    Raise what `frames` raises, and DecodeError for NaN and infinite samples. Resampling may overshoot 1.
    """
    truncation, length = None, 0

    def blocks() -> Iterator[tuple[int, Samples]]:
        nonlocal truncation
        try:
            yield from source
        except TruncatedAudioError as error:  # raised once the resampler is flushed
            truncation = error

    with closing(frames(path)) as source:
        for source_rate, run in groupby(blocks(), itemgetter(0)):
            resampler = soxr.ResampleStream(source_rate, rate, 1, dtype="float32")
            if rates is not None:
                rates.add(source_rate)
            last = np.empty((0, 1), np.float32)  # flushes the resampler
            for block in chain(map(itemgetter(1), run), [last]):
                samples = _one_channel(block, channel)
                if not np.isfinite(samples).all():
                    raise DecodeError(path, "it has NaN or infinite samples")
                if source_rate != rate:
                    samples = resampler.resample_chunk(samples, last=block is last)
                if len(samples):
                    length += len(samples)
                    yield samples
    if not length:
        raise DecodeError(path, f"it is shorter than one sample at {rate} Hz")
    if truncation:
        raise truncation


def _one_channel(block: Samples, channel: Channel) -> Samples:
    channels = block.shape[1]
    if channel == "mix" and channels > 1:
        return block @ np.full(channels, 1 / channels, np.float32)  # thirty times faster than a mean over the last axis
    return np.ascontiguousarray(block[:, 1 if channel == "right" and channels > 1 else 0])


def measure_loudness(blocks: Iterable[Samples], rate: int) -> tuple[float | None, float]:
    """Return the integrated loudness (LUFS, EBU R 128) and the peak of mono blocks (T,) at `rate` Hz.

    The loudness is None where the signal is too short or too quiet to measure.
    """
    graph = Graph()
    source = graph.add("abuffer", sample_rate=str(rate), sample_fmt="flt", channel_layout="mono", time_base=f"1/{rate}")
    graph.link_nodes(source, graph.add("ebur128", "metadata=1:framelog=quiet"), graph.add("abuffersink")).configure()
    loudness, peak, time = _NO_LOUDNESS, 0.0, 0
    for block in chain(blocks, [None]):  # None ends the stream
        frame = None
        if block is not None:
            peak = max(peak, float(np.abs(block).max(initial=0.0)))
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block)[None], "flt", "mono")
            frame.sample_rate, frame.pts = rate, time
            time += len(block)
        graph.push(frame)
        with suppress(NotReadyError, EndOfFileError):
            while True:
                loudness = float(graph.pull().metadata.get("lavfi.r128.I", loudness))
    return (loudness if loudness > _NO_LOUDNESS else None), peak
