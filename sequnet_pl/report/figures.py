"""Matplotlib figures of one look, for pages, pictures and loggers alike."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sequnet_pl.atomic import replacing

COLOURS = ("#7b2d8b", "#1b8a8f", "#d9822b", "#4a6fd0", "#b8405e", "#6f8f2f")
"""Of lines and bars, in this order: readable on white and on black, and apart for the colour-blind."""
QUIET = "#85858f"
"""Of what is there to compare with."""


def new_figure(xlabel: str, ylabel: str, title: str = "", height: float = 3.2) -> tuple[Figure, Axes]:
    """An empty figure with one pair of axes; `height` in inches, the width is that of a page."""
    figure = Figure(figsize=(7.6, height), layout="constrained")
    axes = figure.add_subplot()
    dress(axes, xlabel, ylabel, title)
    return figure, axes


def new_grid(count: int) -> tuple[Figure, Sequence[Axes]]:
    """A figure of so many pairs of axes, two in a row, for one picture; each is still to be dressed."""
    rows = -(-count // 2)
    figure = Figure(figsize=(15.2, 3.2 * rows), layout="constrained")
    return figure, [figure.add_subplot(rows, 2, place) for place in range(1, count + 1)]


def dress(axes: Axes, xlabel: str, ylabel: str, title: str = "") -> None:
    """Give axes the look of all figures."""
    axes.set_prop_cycle(color=COLOURS)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.set_title(title, parse_math=False)  # names of files and runs may hold dollar signs
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=QUIET, alpha=0.25, linewidth=0.6)


def save_figure(path: Path, figure: Figure) -> None:
    """Write a figure as a PNG. Raises UserError where the file cannot be written."""
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=150)
