"""Waveforms as small inline drawings: the range of the samples in each column, the prompt in a colour of its own."""

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from sequnet_pl.report.samples import Samples

_QUIETEST = 0.01  # -40 dBFS: what is quieter is drawn small, so that noise in silence does not look like sound
_HEIGHT = 100  # of half the drawing, in its own units
_BLOCK = 2**18  # samples read at a time


def envelope(samples: Samples, columns: int = 600) -> NDArray[np.float32]:
    """Lowest and highest sample of each column, (T,) to (2, at most `columns`); no samples give one column of zeros."""
    edges = np.unique(np.linspace(0, len(samples), columns + 1).astype(np.int64))
    if len(edges) < 2:
        return np.zeros((2, 1), np.float32)
    at_once = max(1, _BLOCK // int(edges[1]))  # columns: an hour does not fit in memory
    bounds = []
    for first in range(0, len(edges) - 1, at_once):
        part = edges[first : first + at_once + 1]
        read = np.asarray(samples[part[0] : part[-1]])
        bounds.append([of.reduceat(read, part[:-1] - part[0]) for of in (np.minimum, np.maximum)])
    return np.concatenate(bounds, axis=1, dtype=np.float32)


def waveform(samples: Samples, prompt: float = 0.0) -> Markup:
    """An SVG as wide as its surroundings, scaled to the loudest sample; the first part, a share `prompt`, is paler."""
    bounds = envelope(samples)
    scaled = bounds / max(float(np.abs(bounds).max()), _QUIETEST) * _HEIGHT
    columns = scaled.shape[1]
    border = round(prompt * columns)
    return Markup('<svg viewBox="0 {} {} {}" preserveAspectRatio="none" aria-hidden="true">{}{}</svg>').format(
        -_HEIGHT,
        columns,
        2 * _HEIGHT,
        _outline(scaled[:, :border], 0, "prompt"),
        _outline(scaled[:, border:], border, "generated"),
    )


def _outline(bounds: NDArray[np.float32], first: int, name: str) -> Markup:
    """A closed path along the upper edge and back along the lower one, a step a column and one unit thick at least."""
    lower, upper = -bounds  # the y axis of a drawing points down
    edges = np.stack([np.minimum(upper, lower - 1), np.maximum(lower, upper + 1)])
    edges = np.clip(edges.round(), -_HEIGHT, _HEIGHT).astype(int)
    there = "".join(f"V{y}h1" for y in edges[0])
    back = "".join(f"V{y}h-1" for y in edges[1, ::-1])
    return Markup('<path class="{}" d="M{} 0{}{}z"/>').format(name, first, there, back) if there else Markup()
