"""The codes of one audio file, made in a file of their own until the store takes them in."""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from sequnet_pl import atomic
from sequnet_pl.audio import loudness, mulaw
from sequnet_pl.audio.decode import (
    DecodeError,
    TruncatedAudioError,
    UnavailableError,
    frames,
    mono,
    open_regular,
)
from sequnet_pl.data.store.index import Options
from sequnet_pl.errors import UserError

DAMAGED = "used as far as it decodes"
"""What the note of a recording says that is not whole."""
_FULL_SCALE = 1 - 2**-15  # the largest 16-bit sample
_NEARLY_ALL = 0.999  # share of codes within 2 of silence, which is what channels leave that cancel each other


@dataclass(frozen=True)
class Part:
    """The codes of one audio file, finished in a file of their own; fields as in Recording."""

    length: int
    codes_sha256: str
    peak: float
    clipped: float
    silent: float
    note: str
    own_rate: int = 0


@dataclass(frozen=True)
class Answer:
    """What became of a job: a part, or a known content (no part), or a reason to skip it, or a failure of all.

    Without `size` the reason is no property of the file, and it is tried again the next time.
    """

    size: int = -1
    mtime_ns: int = -1
    sha256: str = ""
    part: Part | None = None
    skipped: str = ""
    failed: str = ""


def part_path(parts: Path, sha256: str, options: Options) -> Path:
    """Where the codes of a content under these options lie; beside them, once they are finished, their Part (JSON)."""
    return parts / f"{sha256}-{options.key()}.codes"


def answer(path: Path, parts: Path, options: Options, known: list[str]) -> Answer:
    """Make the part of an audio file, unless there is one or its content (sha256) is among the `known`."""
    try:
        size, mtime_ns, sha256 = _identify(path)
        part = None if sha256 in known else _part(path, part_path(parts, sha256, options), options)
        status = path.stat()
        if (size, mtime_ns) != (status.st_size, status.st_mtime_ns):
            return Answer(skipped="it changed while it was read")
        return Answer(size, mtime_ns, sha256, part)
    except DecodeError as error:
        status = path.stat() if path.exists() else None
        return (
            Answer(status.st_size, status.st_mtime_ns, skipped=error.reason) if status else Answer(skipped=error.reason)
        )
    except UnavailableError as error:
        return Answer(skipped=error.reason)
    except UserError as error:
        return Answer(failed=str(error))
    except Exception as error:  # one file that trips a decoder must not stop the others
        return Answer(skipped=f"decoding failed ({type(error).__name__}: {error})")


def _identify(path: Path) -> tuple[int, int, str]:
    try:
        with open_regular(path) as file:
            status = os.fstat(file.fileno())
            return status.st_size, status.st_mtime_ns, hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UnavailableError(path, error.strerror or str(error)) from error


def _part(path: Path, codes_path: Path, options: Options) -> Part:
    done = codes_path.with_suffix(".json")
    if done.exists():
        return Part(**json.loads(done.read_text(encoding="utf-8")))
    with atomic.replacing(codes_path) as temporary, temporary.open("wb") as out:
        part = _write_codes(path, out, options)
    atomic.write_text(done, json.dumps(asdict(part)))
    return part


def _write_codes(path: Path, out: BinaryIO, options: Options) -> Part:
    gain, notes = _gain(path, options)
    rates: set[int] = set()

    blocks = mono(path, options.rate, options.channel, rates=rates)
    part = _write_blocks(path, blocks, out, options, np.float32(gain))
    own_rate = max(rates) if max(rates) < options.rate else 0
    return replace(part, note="; ".join(filter(None, [*notes, part.note])), own_rate=own_rate)


def _write_blocks(
    path: Path, blocks: Iterator[NDArray[np.float32]], out: BinaryIO, options: Options, gain: np.float32
) -> Part:
    notes: list[str] = []
    shorten = None if options.skip_silence is None else SilenceShortener(round(options.skip_silence * options.rate))
    digest = hashlib.sha256()
    peak, samples_in, clipped, length, silent, quiet = 0.0, 0, 0, 0, 0, 0
    try:
        for block in blocks:
            samples = block * gain
            magnitude = np.abs(samples)
            peak = max(peak, float(magnitude.max()))
            samples_in += len(samples)
            clipped += int(np.count_nonzero(magnitude >= _FULL_SCALE))
            codes = mulaw.encode(samples)
            if shorten is not None:
                codes = shorten(codes)
            length += len(codes)
            silent += int(np.count_nonzero(codes == mulaw.SILENCE))
            quiet += int(np.count_nonzero(codes - np.uint8(mulaw.SILENCE - 2) <= 4))  # within 2: below 0 it wraps
            written = codes.tobytes()
            digest.update(written)
            out.write(written)
    except TruncatedAudioError as error:
        notes.append(f"{DAMAGED}: {error.reason}")
    if quiet >= _NEARLY_ALL * length:
        _, frame = next(frames(path))
        cancels = options.channel == "mix" and frame.shape[1] > 1
        how = "silent throughout" if silent == length else "all but silent"
        notes.append(f"it is {how}{'; where its channels cancel each other, --channel left helps' * cancels}")
    if clipped > 0.01 * samples_in:
        notes.append(f"{clipped / samples_in:.0%} of its samples are at or beyond full scale")
    return Part(length, digest.hexdigest(), peak, clipped / samples_in, silent / length, "; ".join(notes))


def _gain(path: Path, options: Options) -> tuple[float, list[str]]:
    """The factor that brings a file to the wanted loudness without clipping it."""
    if options.loudness is None:
        return 1.0, []
    found, peak = loudness.measure(_undamaged(mono(path, options.rate, options.channel)), options.rate)
    if found is None:
        return 1.0, ["too short or too quiet to measure its loudness, left as it is"]
    gain = 10 ** ((options.loudness - found) / 20)
    if gain * peak > 1:
        return 1 / peak, ["made less loud than asked for, so that its peaks are not clipped"]
    return gain, []


def _undamaged(blocks: Iterator[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
    with suppress(TruncatedAudioError):  # said when its codes are made
        yield from blocks


class SilenceShortener:
    """Cuts runs of digital silence down to `limit` codes, block by block."""

    def __init__(self, limit: int) -> None:
        self._limit = max(1, limit)
        self._run = 0  # silent codes so far at the end of the last block

    def __call__(self, codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Codes (T,) to those that stay (at most T,)."""
        here = np.arange(len(codes))
        last_sound = np.maximum.accumulate(np.where(codes != mulaw.SILENCE, here, -1 - self._run))
        run = here - last_sound
        self._run = int(run[-1])
        return codes[run <= self._limit]
