"""What a chart shows, however it is drawn: in a page (`report.drawing`) or as a picture (`report.figures`)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

import numpy as np
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from sequnet_pl.report.metrics import Points

COLOURS = ("#7b2d8b", "#1b8a8f", "#d9822b", "#4a6fd0", "#b8405e", "#6f8f2f")
"""Of curves, in this order: readable on white and on black, and apart for the colour-blind."""
QUIET = "#85858f"
"""Of what is there to compare with."""
DASHES = ((6, 4), (2, 3), (10, 3, 2, 3), (12, 4))
"""Of named heights, which have one colour: pixels drawn and left out."""

_MARGIN = 0.04  # of the height, above and below the curves


class Look(Enum):
    """How a curve is drawn."""

    LINE = auto()
    """Through its points, which are marked where they are few."""
    STROKE = auto()
    """The same without marks, as of a line that was not measured."""
    DOTS = auto()
    STEPS = auto()
    """Each height from its place to the next one's; the last is only an end."""
    AREA = auto()
    """Steps, filled down to the lower edge."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Curve:
    """Points over one axis.

    Attributes:
        name: in the legend; without one it stands in none.
        points: places, increasing, and heights; a NaN breaks the line.
        width: of the line, or of a dot, in pixels.
        fades: whether it is drawn pale, as what counts for less.
    """

    name: str
    points: Points
    colour: str
    look: Look = Look.LINE
    width: float = 2.0
    fades: bool = False

    @property
    def marked(self) -> bool:
        """Whether the points of a line are few enough to be told apart; one alone is no line."""
        return self.look is Look.LINE and self.points.shape[1] <= 40


@dataclass(frozen=True, kw_only=True, eq=False)
class Chart:
    """Curves, and named heights and places to compare them with.

    Attributes:
        curves: the later ones lie above the earlier.
        heights: named dashed lines across.
        places: named dotted lines upright, each with its colour.
        rows: names of the heights 0, 1, …, from below, where these are no numbers.
        bottom, top: of the axis upwards; None: as the curves need.
        most: the axis ends there at most; what is above is cut off.
        log_x, log_y: logarithmic axes.
        size: height in rem.
    """

    title: str
    xlabel: str
    ylabel: str
    curves: Sequence[Curve]
    heights: Mapping[str, float] = field(default_factory=dict)
    places: Mapping[str, tuple[float, str]] = field(default_factory=dict)
    rows: Sequence[str] = ()
    bottom: float | None = None
    top: float | None = None
    most: float = np.inf
    log_x: bool = False
    log_y: bool = False
    size: float = 16.0

    @property
    def across(self) -> tuple[float, float]:
        """From where to where the horizontal axis goes."""
        found = np.concatenate([curve.points[0] for curve in self.curves] or [np.zeros(0)])
        dots = any(curve.look is Look.DOTS for curve in self.curves)  # which would be cut in half at the ends
        return _range(found, self.log_x, 0.04 if self.rows else 0.01 if dots else 0.0)

    @property
    def upwards(self) -> tuple[float, float]:
        """From where to where the vertical axis goes."""
        if self.rows:
            return -0.6, len(self.rows) - 0.4
        found = [curve.points[1] for curve in self.curves] + [np.array([*self.heights.values()])]
        low, high = _range(np.concatenate(found), self.log_y, _MARGIN)
        low, high = low if self.bottom is None else self.bottom, high if self.top is None else self.top
        high = min(high, self.most)
        return low, high if high > low else low + 1  # where all is above the most, or at the given bottom

    @property
    def x_ticks(self) -> list[tuple[float, str]]:
        """Round numbers along the horizontal axis, and their texts."""
        return [(tick, short(tick)) for tick in _ticks(*self.across, self.log_x)]

    @property
    def y_ticks(self) -> list[tuple[float, str]]:
        """Round numbers along the vertical axis and their texts, or the rows."""
        if self.rows:
            return [(float(row), name) for row, name in enumerate(self.rows)]
        return [(tick, short(tick)) for tick in _ticks(*self.upwards, self.log_y)]


def few(points: Points, most: int = 1000) -> Points:
    """At most so many of the points, spread evenly: more dots than that cannot be told apart."""
    count = points.shape[1]
    return points if count <= most else points[:, np.linspace(0, count - 1, most).round().astype(int)]


def short(value: float) -> str:
    """A number in few characters: 0.25, 12k, 3M."""
    for factor, unit in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= factor:
            return f"{value / factor:.4g}{unit}"
    return f"{value:.4g}"


def _range(values: NDArray[np.float64], log: bool, margin: float) -> tuple[float, float]:
    """Of finite values, with a share of it left free at both ends."""
    values = values[np.isfinite(values) & (values > 0 if log else True)]
    if not len(values):
        return (1.0, 10.0) if log else (0.0, 1.0)
    low, high = float(values.min()), float(values.max())
    if log:
        grown = (high / low) ** margin
        return (low / grown, high * grown) if high > low else (low / 2, high * 2)
    grown = margin * (high - low) if high > low else abs(low) / 2 or 0.5
    return low - grown, high + grown


def _ticks(low: float, high: float, log: bool) -> list[float]:
    if log:
        decades = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
        close = np.log10(high / low) < 3
        ticks = np.sort(np.concatenate([decades, 2 * decades, 5 * decades])) if close else decades
        low, high = low * (1 - 1e-9), high * (1 + 1e-9)
    else:
        ticks = np.asarray(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high), float)
        slack = 1e-9 * (high - low)
        ticks[np.abs(ticks) < slack] = 0
        low, high = low - slack, high + slack
    inside = ticks[(ticks >= low) & (ticks <= high)]
    return inside[:: 1 + len(inside) // 9].tolist()
