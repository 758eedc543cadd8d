"""Charts as pictures of one look, for files and loggers."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sequnet_pl.atomic import replacing
from sequnet_pl.report.chart import DASHES, QUIET, Chart, Curve, Look

_WIDTH = 7.6  # inches of one chart
_REM = 0.2  # inches of one unit of a chart's size


def figure(*charts: Chart) -> Figure:
    """One chart, or several with two in a row."""
    rows, columns = -(-len(charts) // 2), min(2, len(charts))
    height = sum(max(chart.size for chart in charts[2 * row : 2 * row + 2]) for row in range(rows))
    drawn = Figure(figsize=(_WIDTH * columns, _REM * height), layout="constrained")
    for place, chart in enumerate(charts, 1):
        _draw(chart, drawn.add_subplot(rows, columns, place))
    return drawn


def save(path: Path, *charts: Chart) -> None:
    """Write `figure` as a PNG. Raises UserError where the file cannot be written."""
    with replacing(path) as temporary:
        figure(*charts).savefig(temporary, format="png", dpi=150)


def _draw(chart: Chart, axes: Axes) -> None:
    axes.set_title(chart.title, parse_math=False)  # names of files and runs may hold dollar signs
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=QUIET, alpha=0.25, linewidth=0.6, axis="x" if chart.rows else "both")
    axes.set(xlabel=chart.xlabel, ylabel=chart.ylabel)
    axes.set(xlim=chart.across, ylim=chart.upwards)  # first: a logarithmic axis asks where the data are
    axes.set(xscale="log" if chart.log_x else "linear", yscale="log" if chart.log_y else "linear")
    for curve in chart.curves:
        _curve(curve, axes, chart.upwards[0])
    for number, (name, height) in enumerate(chart.heights.items()):
        dashes = (0, DASHES[number % len(DASHES)])
        axes.axhline(height, color=QUIET, linestyle=dashes, linewidth=1, label=f"{name}, {height:.4g}")
    for name, (place, colour) in chart.places.items():
        axes.axvline(place, color=colour, linestyle=":", label=name)
    axes.minorticks_off()
    axes.set_xticks(*_columns(chart.x_ticks))
    axes.set_yticks(*_columns(chart.y_ticks))
    names = [curve.name for curve in chart.curves if curve.name]
    if len(names) + len(chart.heights) + len(chart.places) > 1:  # below the label of the axis, where it covers nothing
        axes.legend(loc="upper left", bbox_to_anchor=(0, 0), borderaxespad=4.5, ncols=2, frameon=False, fontsize=8)


def _columns(ticks: Sequence[tuple[float, str]]) -> tuple[list[float], list[str]]:
    return [place for place, _ in ticks], [text for _, text in ticks]


def _curve(curve: Curve, axes: Axes, floor: float) -> None:
    label, opacity = curve.name or "_", 0.4 if curve.fades else 1.0
    if curve.look is Look.AREA:
        heights = np.where(np.isfinite(curve.points[1]), curve.points[1], floor)
        axes.fill_between(
            curve.points[0], heights, floor, step="post", color=curve.colour, alpha=0.35, linewidth=0, label=label
        )
        return
    axes.plot(
        *curve.points,
        color=curve.colour,
        linewidth=0.75 * curve.width,  # points, of which there are fewer than pixels
        linestyle="" if curve.look is Look.DOTS else "-",
        drawstyle="steps-post" if curve.look is Look.STEPS else "default",
        marker="o" if curve.look is Look.DOTS or curve.marked else "",
        markersize=0.75 * curve.width + (2 if curve.marked else 0),
        alpha=opacity,
        label=label,
    )
