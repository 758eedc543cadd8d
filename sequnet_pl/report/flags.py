"""What may be wrong with a clip, told without listening: silence, clipping, a loop that the network is stuck in."""

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from sequnet_pl.report.samples import Samples, blocks

SILENT_BELOW = -60.0
"""dBFS of the root mean square (0 dBFS: a square wave at full scale)."""
CLIPPED_ABOVE = 0.01
"""Share of samples at full scale."""
LOOP_ABOVE = 0.98
"""Normalised autocorrelation."""

_FULL_SCALE = 0.999  # the outermost mu-law codes decode to 1.0, their neighbours to 0.98; 16-bit files end at 0.99997
_BLOCK = 1 << 20


class Flag(StrEnum):
    """A warning about a clip; its text is the word that is shown."""

    SILENT = "silent"
    CLIPPED = "clipped"
    LOOP = "loop"


MEANING = {
    Flag.SILENT: f"level below {SILENT_BELOW:.0f} dBFS",
    Flag.CLIPPED: f"over {CLIPPED_ABOVE:.0%} of the samples at full scale",
    Flag.LOOP: "the last second repeats what came up to a second before it",
}


def flags(samples: Samples, rate: int) -> list[Flag]:
    """The warnings that hold for (T,) samples at `rate` Hz, in the order of `Flag`; none for no samples."""
    found = []
    if len(samples) > 0:
        if level(samples) < SILENT_BELOW:
            found.append(Flag.SILENT)
        if clipped_share(samples) > CLIPPED_ABOVE:
            found.append(Flag.CLIPPED)
        if loop_score(samples, rate) > LOOP_ABOVE:
            found.append(Flag.LOOP)
    return found


def level(samples: Samples) -> float:
    """Root mean square of (T,) samples in dBFS, -inf for digital silence."""
    total = sum(float(np.square(block, dtype=np.float64).sum()) for block in blocks(samples, _BLOCK))
    return _decibels(total / max(1, len(samples)))


def clipped_share(samples: Samples) -> float:
    """Share of (T,) samples at full scale, 0 to 1."""
    count = sum(int(np.count_nonzero(np.abs(block) >= _FULL_SCALE)) for block in blocks(samples, _BLOCK))
    return count / max(1, len(samples))


def loop_score(samples: Samples, rate: int) -> float:
    """Largest normalised autocorrelation of the last second at lags of 20 ms to 1 s; 0 where that second is silent.

    The last second is set against as long a stretch that ends a lag earlier. A clip shorter than two seconds is
    halved instead: its second half against all of its stretches that begin earlier. Not changed by loudness.
    """
    heard = np.asarray(samples[max(0, len(samples) - 2 * rate) :], dtype=np.float64)
    size = min(rate, len(heard) // 2)
    shortest = max(1, round(0.02 * rate))
    longest = len(heard) - size
    if size < shortest or longest < shortest or level(heard[-size:].astype(np.float32)) < SILENT_BELOW:
        return 0.0
    products = _correlate(heard, heard[-size:])  # products[i]: with the stretch that begins at i, of lag longest - i
    energy = np.concatenate(([0.0], np.cumsum(heard**2)))
    energies = energy[size:] - energy[:-size]
    loud = energies > size * 10 ** (SILENT_BELOW / 10)  # a silent stretch is no loop, and would divide by zero
    scores = products / np.sqrt(np.where(loud, energies, np.inf) * energies[-1])
    return float(np.clip(scores[: longest - shortest + 1].max(), 0.0, 1.0))


def _correlate(heard: NDArray[np.float64], template: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inner products of the template with every stretch of its length, through the Fourier transform."""
    size = 1 << (len(heard) + len(template)).bit_length()
    spectrum = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(template, size))
    return np.fft.irfft(spectrum, size)[: len(heard) - len(template) + 1]


def _decibels(power: float) -> float:
    return 10 * float(np.log10(power)) if power > 0 else float("-inf")
