"""Defects of a clip that can be detected: silence, clipping, a loop."""

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy.signal import correlate

SILENT_BELOW = -60.0
"""dBFS of the root mean square (0 dBFS: a square wave at full scale)."""
CLIPPED_ABOVE = 0.01
"""Share of samples at full scale."""
LOOP_ABOVE = 0.98
"""Normalised autocorrelation."""

_FULL_SCALE = 0.999  # the outermost mu-law codes decode to 1.0, their neighbours to 0.98; 16-bit files end at 0.99997


class Flag(StrEnum):
    """A warning about a clip; its value is the word that is shown."""

    SILENT = "silent"
    CLIPPED = "clipped"
    LOOP = "loop"


MEANING = {
    Flag.SILENT: f"level below {SILENT_BELOW:.0f} dBFS",
    Flag.CLIPPED: f"over {CLIPPED_ABOVE:.0%} of the samples at full scale",
    Flag.LOOP: "the last second repeats an earlier part of up to a second before it",
}


def flags(samples: NDArray[np.float32], rate: int) -> list[Flag]:
    """Warnings for (T,) samples at `rate` Hz, in the order of `Flag`; none for no samples."""
    if not len(samples):
        return []
    holds = {
        Flag.SILENT: level(samples) < SILENT_BELOW,
        Flag.CLIPPED: clipped_share(samples) > CLIPPED_ABOVE,
        Flag.LOOP: loop_score(samples, rate) > LOOP_ABOVE,
    }
    return [flag for flag, held in holds.items() if held]


def level(samples: NDArray[np.floating]) -> float:
    """Root mean square of (T,) samples in dBFS, -inf for digital silence."""
    power = float(np.square(samples, dtype=np.float64).sum()) / max(1, len(samples))
    return 10 * float(np.log10(power)) if power > 0 else float("-inf")


def clipped_share(samples: NDArray[np.floating]) -> float:
    """Share of (T,) samples at full scale, 0 to 1."""
    return int(np.count_nonzero(np.abs(samples) >= _FULL_SCALE)) / max(1, len(samples))


def loop_score(samples: NDArray[np.floating], rate: int) -> float:
    """Largest normalised autocorrelation of the last second at lags of 20 ms to 1 s; 0 if that second is silent.

    The last second is correlated with the segment of the same length that ends one lag earlier. For a clip shorter than
    two seconds it is the second half, with all segments that begin earlier. Independent of loudness.
    """
    end = np.asarray(samples[max(0, len(samples) - 2 * rate) :], dtype=np.float64)
    size = min(rate, len(end) // 2)
    shortest = max(1, round(0.02 * rate))
    longest = len(end) - size
    if size < shortest or longest < shortest or level(end[-size:]) < SILENT_BELOW:
        return 0.0
    products = correlate(end, end[-size:], mode="valid", method="fft")  # products[i] has lag longest - i
    energy = np.concatenate(([0.0], np.cumsum(end**2)))
    energies = energy[size:] - energy[:-size]
    loud = energies > size * 10 ** (SILENT_BELOW / 10)  # a silent segment is no loop, and would divide by zero
    scores = products / np.sqrt(np.where(loud, energies, np.inf) * energies[-1])
    return float(np.clip(scores[: longest - shortest + 1].max(), 0.0, 1.0))
