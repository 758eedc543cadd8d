"""Any audio file to blocks of frames at its own rate, in bounded memory: by soundfile, or ffmpeg where that cannot.

T time (frames), C channels.
"""

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import cast

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from sequnet_pl.audio.opening import Unavailable, open_regular
from sequnet_pl.errors import UserError

BLOCK = 1 << 16
"""Frames decoded at a time."""
FFMPEG_SUFFIXES = frozenset({".m4a", ".m4b", ".aac", ".mp4", ".webm", ".mka"})
"""Files that soundfile cannot open, so that ffmpeg is asked first."""

# ffmpeg may open these containers only: a playlist that calls itself .m4a would make it open whatever it lists.
_CONTAINERS = "mov,matroska,webm,aac,mp3,ogg,flac,wav,w64,aiff,au,caf,asf"


class Undecodable(UserError):
    """Nothing of a file can be used. `reason` says why, without the file's name."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"cannot read {path}: {reason}")
        self.reason = reason


class Damaged(UserError):
    """A file was used as far as it decodes; raised after its last good block. `reason` says where it went wrong."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path} is damaged: {reason}")
        self.reason = reason


def frames(path: Path, start: float = 0.0) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Yield (rate in Hz, frames (T, C)) block by block, from `start` seconds on.

    Raises Undecodable where the file gives nothing, Damaged after the last block of one that ends before its time.
    """
    try:
        with open_regular(path) as file:
            empty = not file.read(1)
    except OSError as error:
        raise Unavailable(path, error.strerror or str(error)) from error
    if empty:
        raise Undecodable(path, "the file is empty")
    if path.suffix.lower() not in FFMPEG_SUFFIXES:
        try:
            opened = sf.SoundFile(cast(str, os.fsencode(path)))  # which itself refuses names that are not UTF-8
        except sf.LibsndfileError:
            pass  # perhaps a codec that only ffmpeg knows
        else:
            with opened:
                yield from _by_soundfile(opened, path, start)
            return
    yield from _by_ffmpeg(path, start)


def _by_soundfile(file: sf.SoundFile, path: Path, start: float) -> Iterator[tuple[int, NDArray[np.float32]]]:
    first = round(start * file.samplerate)
    if first and first >= file.frames:
        raise Undecodable(path, f"it ends at {file.frames / file.samplerate:.2f} s, before the start at {start:g} s")
    try:
        file.seek(first)
    except sf.LibsndfileError as error:
        raise Undecodable(path, f"cannot go to {start:g} s ({error})") from error
    done = first
    for block in _read(file, path):
        done += len(block)
        yield file.samplerate, block
    # The length of an mp3 without a header is an estimate, so a small difference means nothing.
    if file.frames - done > max(0.01 * file.frames, 0.1 * file.samplerate):
        whole, got = file.frames / file.samplerate, done / file.samplerate
        raise Damaged(path, f"it ends at {got:.2f} s of {whole:.2f} s")


def _read(file: sf.SoundFile, path: Path) -> Iterator[NDArray[np.float32]]:
    """Blocks (T, C) to the end. Not `SoundFile.blocks`: that yields stale samples where a file ends early."""
    done = 0
    while True:
        try:
            block = file.read(BLOCK, dtype="float32", always_2d=True)
        except sf.LibsndfileError as error:
            if done:
                raise Damaged(path, f"it cannot be decoded from {done / file.samplerate:.2f} s on") from error
            raise Undecodable(path, "no audio can be decoded") from error
        if not len(block):
            break
        done += len(block)
        yield cast("NDArray[np.float32]", block)
    if not done:
        raise Undecodable(path, "it holds no audio that can be decoded")


def _by_ffmpeg(path: Path, start: float) -> Iterator[tuple[int, NDArray[np.float32]]]:
    # AU has the one header that tells rate and channels, needs no length, and can be read from a pipe.
    try:
        program = ffmpeg()
    except UserError as error:
        raise Unavailable(path, str(error)) from error
    command = [program, "-nostdin", "-v", "error", "-format_whitelist", _CONTAINERS, "-protocol_whitelist", "file"]
    command += ["-i", f"file:{path}", "-map", "0:a:0"]
    if start:  # after the input, because a seek in the input is off by the encoder's delay
        command += ["-ss", str(start)]
    command += ["-c:a", "pcm_f32be", "-f", "au", "pipe:1"]
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors)
        assert process.stdout is not None
        try:
            try:
                file = sf.SoundFile(process.stdout.fileno(), closefd=False)
            except sf.LibsndfileError as error:
                process.stdout.close()  # so that it ends, whatever it still has to say
                _check_killed(path, process.wait())
                silent = any("matches no streams" in line for line in _complaints(errors.fileno()))
                why = "it has no audio" if silent else "not audio that soundfile or ffmpeg can read"
                raise Undecodable(path, why) from error
            with file:
                for block in _read(file, path):
                    yield file.samplerate, block
            status, complaints = process.wait(), _complaints(errors.fileno())
            _check_killed(path, status)
            if status:
                raise Undecodable(path, f"ffmpeg stopped with status {status}: {' '.join(complaints[-1:])}")
            if complaints:
                raise Damaged(path, complaints[-1])
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


def _check_killed(path: Path, status: int) -> None:
    """Raise Unavailable where ffmpeg was killed, but not by what closing its pipe does."""
    if status < 0 and status != -signal.SIGPIPE:
        raise Unavailable(path, f"ffmpeg was killed (signal {-status})")


def _complaints(descriptor: int) -> list[str]:
    """What ffmpeg said, line by line, without its names for the parts of itself."""
    with open(descriptor, "rb", closefd=False) as file:
        file.seek(0)
        return [line.split("] ", 1)[-1] for line in file.read().decode(errors="replace").strip().splitlines()]


@cache
def ffmpeg() -> str:
    """The ffmpeg program that comes with imageio-ffmpeg, or the system's. Raises UserError where there is none."""
    import imageio_ffmpeg  # here, because most files need it not

    try:
        return imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError as error:
        raise UserError("there is no ffmpeg; install it, or reinstall imageio-ffmpeg") from error
