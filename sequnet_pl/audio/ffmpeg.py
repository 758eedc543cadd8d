"""What soundfile cannot read, or not to its end, by the ffmpeg program."""

import re
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO, BinaryIO

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from sequnet_pl.audio import sound
from sequnet_pl.audio.link import View
from sequnet_pl.audio.opening import Unavailable
from sequnet_pl.errors import UserError

# ffmpeg may open these containers only: a playlist that calls itself .m4a would make it open whatever it lists.
_CONTAINERS = "mov,matroska,webm,aac,mp3,ogg,flac,wav,w64,aiff,au,caf,asf"
_SAFE = ("-format_whitelist", _CONTAINERS, "-protocol_whitelist", "file,pipe")


class Refused(Exception):
    """ffmpeg does not read a file; the message says why."""


@cache
def ffmpeg() -> str:
    """The ffmpeg program that comes with imageio-ffmpeg, or the system's. Raises UserError where there is none."""
    import imageio_ffmpeg  # here, because most files need it not

    try:
        return imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError as error:
        raise UserError("there is no ffmpeg; install it, or reinstall imageio-ffmpeg") from error


@cache
def version() -> str:
    """The version of the ffmpeg program, empty where there is none."""
    try:
        said = subprocess.run([ffmpeg(), "-version"], capture_output=True, text=True, check=False).stdout
    except (UserError, OSError):
        return ""
    return said.partition("version ")[2].partition(" ")[0]


def _program(path: Path) -> str:
    try:
        return ffmpeg()
    except UserError as error:
        raise Unavailable(path, str(error)) from error


def audio_tracks(path: Path) -> int:
    """How many audio tracks ffmpeg finds in a file. Raises Unavailable where there is no ffmpeg."""
    command = [_program(path), "-nostdin", "-hide_banner", *_SAFE, "-i", f"file:{path}"]
    said = subprocess.run(command, capture_output=True, check=False).stderr.decode(errors="replace")
    return len(re.findall(r"^\s*Stream #.*: Audio: ", said, re.MULTILINE))


def blocks(path: Path, view: View | None) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Yield (rate, frames (T, C)) of the default audio track of a file, or of a view of it.

    Raises Refused where it has none, sound.Stopped with ffmpeg's last complaint after the last block, Unavailable where
    there is no ffmpeg or it was killed.
    """
    source = f"file:{path}" if view is None else "pipe:0"
    # AU has the one header that tells rate and channels, needs no length, and can be read from a pipe.
    command = [_program(path), "-nostdin", "-v", "error", *_SAFE, "-i", source]
    command += ["-vn", "-c:a", "pcm_f32be", "-f", "au", "pipe:1"]
    pipe = subprocess.DEVNULL if view is None else subprocess.PIPE
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, stdin=pipe, stdout=subprocess.PIPE, stderr=errors)
        assert process.stdout is not None
        feeder = threading.Thread(target=_feed, args=(view, process.stdin))
        feeder.start()
        try:
            try:
                file = sf.SoundFile(process.stdout.fileno(), closefd=False)
            except sf.LibsndfileError as error:
                process.stdout.close()  # so that it ends, whatever it still has to say
                _check_killed(path, process.wait())
                silent = any("does not contain any stream" in line for line in _complaints(errors))
                raise Refused("it has no audio" if silent else "not audio that soundfile or ffmpeg can read") from error
            with file:
                for block in sound.blocks(file):
                    yield file.samplerate, block
            status, complaints = process.wait(), _complaints(errors)
            _check_killed(path, status)
            if status:
                complaints.append(f"ffmpeg stopped with status {status}")
            if complaints:
                raise sound.Stopped(complaints[-1])
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
            feeder.join()


def _check_killed(path: Path, status: int) -> None:
    """Raise Unavailable where ffmpeg was killed, but not by what closing its pipe does."""
    if status < 0 and status != -signal.SIGPIPE:
        raise Unavailable(path, f"ffmpeg was killed (signal {-status})")


def _feed(view: View | None, pipe: IO[bytes] | None) -> None:
    if view is not None and pipe is not None:
        view.seek(0)
        with suppress(BrokenPipeError), pipe:
            shutil.copyfileobj(view, pipe, 1 << 16)


def _complaints(errors: BinaryIO) -> list[str]:
    """What ffmpeg said, line by line, without its names for the parts of itself.

    Not that the clocks of joined files begin again: AU has no clock.
    """
    errors.seek(0)
    lines = errors.read().decode(errors="replace").strip().splitlines()
    return [re.sub(r"^(\[[^\]]*\] ?)+", "", line) for line in lines if "monotonically increasing dts" not in line]
