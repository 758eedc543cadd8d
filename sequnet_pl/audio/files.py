"""Find audio files, read parts of them as mono samples at a rate, and write clips."""

import logging
import os
import unicodedata
from contextlib import closing
from pathlib import Path, PurePath

import numpy as np
from numpy.typing import NDArray

from sequnet_pl import atomic
from sequnet_pl.audio.decode import Channel, DecodeError, TruncatedAudioError, mono
from sequnet_pl.audio.pcm import wav_header
from sequnet_pl.errors import UsageError

__all__ = ["SAMPLE_RATE", "SUFFIXES", "Channel", "find", "read", "relative_name", "write_wav"]

SAMPLE_RATE = 16_000
"""Default sample rate in Hz."""
SUFFIXES = frozenset(
    [
        *(".wav", ".wave", ".bwf", ".rf64", ".w64", ".aif", ".aiff", ".aifc", ".caf", ".au", ".snd"),
        *(".flac", ".ogg", ".oga", ".opus", ".mp3", ".wma", ".m4a", ".m4b", ".aac", ".mp4", ".webm", ".mka"),
    ]
)
"""Suffixes of audio files: lower case, with the dot."""

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
    if start < 0 or (seconds is not None and seconds <= 0):
        raise UsageError(f"cannot read {seconds} s from {start} s on: a start is at least 0, a length more than 0")
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
