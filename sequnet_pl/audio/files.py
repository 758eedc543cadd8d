"""Find audio files, read parts of them as mono samples at a rate, and write wav files, from codes without loss."""

import logging
import os
import struct
import unicodedata
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path, PurePath

import numpy as np
from numpy.typing import NDArray

from sequnet_pl import atomic
from sequnet_pl.audio import mulaw
from sequnet_pl.audio.decode import DecodeError, TruncatedAudioError, frames, mono

SAMPLE_RATE = 16_000
"""Default sample rate in Hz."""
SUFFIXES = frozenset(
    [
        *(".wav", ".wave", ".bwf", ".rf64", ".w64", ".aif", ".aiff", ".aifc", ".caf", ".au", ".snd"),
        *(".flac", ".ogg", ".oga", ".opus", ".mp3", ".wma", ".m4a", ".m4b", ".aac", ".mp4", ".webm", ".mka"),
    ]
)
"""Suffixes of audio files: lower case, with the dot."""

_MOST_BYTES = 2**32 - 1 - 36  # the largest size in the header of a wav file
_PCM = np.round(mulaw.decode(np.arange(mulaw.CLASSES)) * 32767).astype("<i2")  # no two codes share a sample

log = logging.getLogger(__name__)


def find(folder: Path) -> list[Path]:
    """Return the audio files below `folder`, sorted by the path in it, without hidden files and folders.

    Paths that cannot be opened are among them, whoever opens them reports the reason: folders that cannot be read, and
    what has the suffix of an audio file but is none.
    """
    unreadable: list[OSError] = []
    found: list[Path] = []
    seen: set[str] = set()  # links are followed, so that a folder may lead back to itself
    for name, folders, files in os.walk(folder, followlinks=True, onerror=unreadable.append):
        real = os.path.realpath(name)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = [f for f in folders if not f.startswith(".")]
        paths = (Path(name, f) for f in files if not f.startswith("."))
        found += [path for path in paths if path.suffix.lower() in SUFFIXES]
    found += [Path(e.filename) for e in unreadable if not isinstance(e, FileNotFoundError | NotADirectoryError)]
    return sorted(found, key=lambda path: (relative_name(path, folder), path))


def relative_name(path: Path, root: Path) -> str:
    """Return the path from `root` on, in Unicode's composed form: systems differ in how they write an accent."""
    return unicodedata.normalize("NFC", PurePath(os.path.relpath(path, root)).as_posix())


def read(path: Path, rate: int, start: float = 0.0, seconds: float | None = None) -> NDArray[np.float32]:
    """Return mono samples (T,) of a file at `rate` Hz: from `start` seconds on, `seconds` long or to its end.

    The array is shorter where the file ends sooner. Raise DecodeError where nothing can be read there.
    """
    first = round(start * rate)
    last = None if seconds is None else first + max(1, round(seconds * rate))
    parts: list[NDArray[np.float32]] = []
    count = 0
    # Seeking is inexact in chains and with a variable bit rate, and decoding from the start is quick.
    with closing(mono(path, rate)) as blocks:
        try:
            for block in blocks:
                parts.append(block[max(0, first - count) :])
                count += len(block)
                if last is not None and count >= last:
                    break
        except TruncatedAudioError as warning:
            log.warning("%s, and used as far as it decodes", warning)
    if count <= first:
        raise DecodeError(path, f"it ends at {count / rate:.2f} s, before the start at {start:g} s")
    return np.concatenate(parts)[: None if last is None else last - first]


def write_wav(path: Path, samples: NDArray[np.floating], rate: int) -> None:
    """Write samples (T,), clipped to [-1, 1], as mono 16-bit PCM. Raises UserError where that fails."""
    pcm = np.round(np.clip(samples, -1.0, 1.0) * 32767).astype("<i2")
    with atomic.replacing(path) as temporary:
        temporary.write_bytes(wav_header(rate, len(pcm)) + pcm.tobytes())


def to_pcm(codes: NDArray[np.uint8]) -> bytes:
    """Codes (T,) as signed 16-bit little-endian samples."""
    return _PCM[codes].tobytes()


def wav_header(rate: int, samples: int | None = None) -> bytes:
    """The header of a mono 16-bit wav file; None is a length that is not known yet, as in a pipe."""
    size = _MOST_BYTES if samples is None else min(2 * samples, _MOST_BYTES)
    layout = (b"RIFF", 36 + size, b"WAVE", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16, b"data", size)
    return struct.pack("<4sI4s4sIHHIIHH4sI", *layout)


def read_codes(path: Path) -> NDArray[np.uint8]:
    """Return the codes (T,) of a wav file that was written from codes. Raise UserError where it cannot be read."""
    return np.concatenate([mulaw.encode(block[:, 0]) for _, block in frames(path)])


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
