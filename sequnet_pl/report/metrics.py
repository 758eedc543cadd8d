"""The metrics of a run, read from its metrics.csv, few enough points of them to be drawn."""

import csv
import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FILE = "metrics.csv"

Points = NDArray[np.float64]
"""(2, N): where, and what was measured there."""


class Metrics:
    """The rows of a run's metrics.csv; no rows where there is none. A line that was cut short is left out."""

    def __init__(self, folder: Path) -> None:
        self._columns: dict[str, list[float]] = {}
        self.rows = 0
        try:
            with (folder / FILE).open(newline="") as file:
                lines = csv.reader(file)
                header = next(lines, [])
                kept = [line for line in lines if len(line) == len(header)]
        except OSError:
            return
        self.rows = len(kept)
        columns = zip(*kept, strict=True) if kept else ([] for _ in header)
        self._columns = {name: [_number(text) for text in column] for name, column in zip(header, columns, strict=True)}

    def names(self, prefix: str = "") -> list[str]:
        """Of the metrics that begin so, sorted."""
        return sorted(name for name in self._columns if name.startswith(prefix))

    def curve(self, name: str, over: str = "step") -> Points:
        """The values of a metric in the rows that have them, over those of another; (2, 0) where there are none."""
        if name not in self._columns or over not in self._columns:
            return np.empty((2, 0))
        points = np.array([self._columns[over], self._columns[name]])
        return points[:, np.isfinite(points).all(axis=0)]

    def last(self, name: str) -> float | None:
        """The newest value of a metric."""
        values = self.curve(name)[1]
        return float(values[-1]) if len(values) else None

    @property
    def steps(self) -> int:
        """Steps that were done until the newest row; rows count from 0."""
        return int(max(self.curve("step")[1], default=-1)) + 1

    def best(self, name: str) -> tuple[int, float] | None:
        """How many steps were done when a metric was lowest, as checkpoints count them, and that value."""
        steps, values = self.curve(name)
        return (int(steps[values.argmin()]) + 1, float(values.min())) if len(values) else None


def thinned(points: Points, most: int = 300) -> Points:
    """No more than so many points: means over neighbours, so that noise is smoothed and no stretch is left out."""
    count = points.shape[1]
    if count <= most:
        return points
    edges = np.linspace(0, count, most + 1).astype(np.int64)
    return np.add.reduceat(points, edges[:-1], axis=1) / np.diff(edges)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
