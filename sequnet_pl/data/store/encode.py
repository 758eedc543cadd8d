"""The codes of one audio file, written to a file of their own until the store appends them."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sequnet_pl import atomic
from sequnet_pl.audio import mulaw
from sequnet_pl.audio.decode import TruncatedAudioError, UnavailableError, frames, measure_loudness, mono
from sequnet_pl.data.store.index import Options, Recording

_FULL_SCALE = 1 - 2**-15  # the largest 16-bit sample
_NEARLY_ALL = 0.999  # fraction of codes within 2 of silence, which channels leave that cancel each other


def encode_file(source: str, folder: Path, options: Options) -> Recording:
    """Write the codes of an audio file to `part_of(folder, source)`. Raise what `audio.decode.mono` raises."""
    path, notes = Path(source), list[str]()
    size, mtime_ns = identity(path)
    gain = np.float32(_gain(path, options, notes))
    rates = set[int]()
    shorten = None if options.skip_silence is None else SilenceShortener(round(options.skip_silence * options.rate))
    digest, peak, samples_in, clipped, length, silent, quiet = hashlib.sha256(), 0.0, 0, 0, 0, 0, 0
    with atomic.replacing(part_of(folder, source)) as temporary, temporary.open("wb") as out:
        for block in _noting(mono(path, options.rate, options.channel, rates=rates), notes):
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
            digest.update(codes.tobytes())
            out.write(codes.tobytes())
    if quiet >= _NEARLY_ALL * length:
        cancels = options.channel == "mix" and next(frames(path))[1].shape[1] > 1
        advice = "; where its channels cancel each other, --channel left helps" if cancels else ""
        notes.append(f"it is silent, or nearly so{advice}")
    if identity(path) != (size, mtime_ns):
        raise UnavailableError(path, "it changed while it was read")
    return Recording(
        source,
        size,
        mtime_ns,
        offset=0,
        length=length,
        rate=options.rate,
        codes_sha256=digest.hexdigest(),
        peak=peak,
        clipped=clipped / samples_in,
        silent=silent / length,
        note="; ".join(notes),
        source_rate=max(rates) if max(rates) < options.rate else 0,
    )


def part_of(folder: Path, source: str) -> Path:
    """Return where the codes of a file lie until the store appends them."""
    return folder / hashlib.sha256(os.fsencode(source)).hexdigest()


def identity(path: Path) -> tuple[int, int]:
    """Return the size and the time of a file, (-1, -1) where there is none."""
    try:
        status = path.stat()
    except OSError:
        return -1, -1
    return status.st_size, status.st_mtime_ns


def _noting(blocks: Iterable[NDArray[np.float32]], notes: list[str]) -> Iterator[NDArray[np.float32]]:
    try:
        yield from blocks
    except TruncatedAudioError as warning:
        notes.append(f"used as far as it decodes: {warning.reason}")


def _gain(path: Path, options: Options, notes: list[str]) -> float:
    """Return the gain that gives a file the wanted loudness without clipping."""
    if options.loudness is None:
        return 1.0
    blocks = _noting(mono(path, options.rate, options.channel), [])  # noted when the codes are made
    found, peak = measure_loudness(blocks, options.rate)
    if found is None:
        notes.append("too short or too quiet to measure its loudness, left as it is")
        return 1.0
    gain = 10 ** ((options.loudness - found) / 20)
    if gain * peak > 1:
        notes.append("less loud than requested, so that its peaks are not clipped")
        return 1 / peak
    return gain


class SilenceShortener:
    """Shorten runs of digital silence to `limit` codes, block by block."""

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
