"""The charts of a run: is it learning, is it fast, does what it makes look like what it heard."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from sequnet_pl.report.figures import COLOURS, QUIET, dress, new_figure, new_grid, save_figure
from sequnet_pl.report.metrics import Metrics, Points, thinned

OVER = {"step": "step", "hours_heard": "hours of audio heard", "wall_hours": "hours of training"}
"""What scores are drawn over, and what it is called."""

_SCORES = {
    "train/bits_per_sample": "train",
    "val/bits_per_sample": "validation",
    "val/bits_per_sample_without_ema": "validation, weights not averaged",
}
REFERENCES = {
    "reference/single_codes": "table of single codes",
    "reference/code_pairs": "table of codes given the one before",
    "reference/code_triples": "table of codes given the two before",
}
"""What scores are compared with: the names in metrics.csv, and for people."""
_MEASURES = {
    "train/gradient_norm": ("gradient norm", "before clipping", 1.0),
    "speed/samples_per_second": ("speed", "thousand samples a second", 1e-3),
    "speed/data_wait": ("waiting for data", "% of the time", 100.0),
    "speed/memory_gib": ("memory", "GiB, peak", 1.0),
}


@dataclass(frozen=True)
class Chart:
    """Named curves over one axis, and named heights to compare them with."""

    title: str
    xlabel: str
    ylabel: str
    curves: dict[str, Points]
    references: dict[str, float] = field(default_factory=dict)
    from_zero: bool = False

    def draw(self, axes: Axes) -> None:
        """Draw all on dressed axes; few points are marked, for one alone is no line."""
        for name, points in self.curves.items():
            few = points.shape[1] <= 40
            axes.plot(*thinned(points), label=name, linewidth=1.5, marker="o" if few else "", markersize=3.5)
        for name, height in self.references.items():
            axes.axhline(height, color=QUIET, linestyle="--", linewidth=1)
            axes.annotate(
                name,
                (1, height),
                xycoords=("axes fraction", "data"),
                xytext=(0, 3),
                textcoords="offset points",
                ha="right",
                color=QUIET,
                fontsize=8,
            )
        if self.xlabel == "step":
            axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        if self.from_zero:
            axes.set_ylim(bottom=0)
        if len(self.curves) > 1:
            axes.legend(frameon=False, fontsize=9)

    def figure(self) -> Figure:
        """A figure of its own."""
        figure, axes = new_figure(self.xlabel, self.ylabel, self.title)
        self.draw(axes)
        return figure


def score_charts(metrics: Metrics) -> Iterator[Chart]:
    """Bits per sample over steps, hours heard and wall time, with the tables that they are compared with."""
    references = {label: value for name, label in REFERENCES.items() if (value := metrics.last(name)) is not None}
    for over, xlabel in OVER.items():
        curves = _some({label: metrics.curve(name, over) for name, label in _SCORES.items()})
        if curves:
            yield Chart(f"bits per sample over {xlabel}", xlabel, "bits per sample", curves, references)


def measure_charts(metrics: Metrics) -> Iterator[Chart]:
    """Learning rate, gradient norm, speed and memory over steps."""
    if rates := _some({name: metrics.curve(name) for name in metrics.names("lr-")}):
        yield Chart("learning rate", "step", "learning rate", rates)
    for name, (title, ylabel, factor) in _MEASURES.items():
        if curves := _some({title: metrics.curve(name) * np.array([[1.0], [factor]])}):
            yield Chart(title, "step", ylabel, curves, from_zero=True)


def _some(curves: dict[str, Points]) -> dict[str, Points]:
    return {name: points for name, points in curves.items() if points.shape[1]}


def codes_chart(real: Sequence[int], generated: Sequence[int]) -> Figure:
    """How often each code occurs in recordings and in what was generated, in percent on a logarithmic axis."""
    figure, axes = new_figure("code", "% of the samples", "codes, real and generated")
    real_shares, shares = (100 * np.asarray(counts) / max(1, sum(counts)) for counts in (real, generated))
    axes.stairs(real_shares, fill=True, label="recordings", color=QUIET, alpha=0.5)
    axes.stairs(shares, label="generated", color=COLOURS[0])
    axes.set_yscale("log")
    axes.legend(frameon=False, fontsize=9)
    return figure


def save_curves(path: Path, metrics: Metrics) -> None:
    """Write all charts as one PNG; nothing where there is nothing to draw. Raises UserError where that fails."""
    charts = [*score_charts(metrics), *measure_charts(metrics)]
    if charts:
        figure, places = new_grid(len(charts))
        for chart, axes in zip(charts, places, strict=True):
            dress(axes, chart.xlabel, chart.ylabel, chart.title)
            chart.draw(axes)
        save_figure(path, figure)
