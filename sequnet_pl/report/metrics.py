"""Metrics of a run, read from its metrics.csv, and curves of few enough points to be drawn."""

import csv
import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FILE = "metrics.csv"

Points = NDArray[np.float64]
"""(2, N): positions and values."""


class Metrics:
    """The rows of a run's metrics.csv; none without the file. A line that was cut short is left out."""

    def __init__(self, folder: Path) -> None:
        self._columns: dict[str, list[float]] = {}
        try:
            with (folder / FILE).open(newline="") as file:
                header, *lines = csv.reader(file)
        except (OSError, ValueError):
            return
        kept = [line for line in lines if len(line) == len(header)]
        self._columns = {name: [_number(line[place]) for line in kept] for place, name in enumerate(header)}

    def names(self, prefix: str = "") -> list[str]:
        """Names of the metrics that begin with `prefix`, sorted."""
        return sorted(name for name in self._columns if name.startswith(prefix))

    def curve(self, name: str, over: str = "step") -> Points:
        """Values of a metric over those of another, of the rows that have both; (2, 0) if there are none."""
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
        """Number of steps up to the newest row; rows count from 0."""
        return int(max(self.curve("step")[1], default=-1)) + 1

    def best(self, name: str) -> tuple[int, float] | None:
        """The number of steps at the lowest value of a metric, as checkpoints count them, and that value."""
        steps, values = self.curve(name)
        return (int(steps[values.argmin()]) + 1, float(values.min())) if len(values) else None


def thinned(points: Points, most: int = 300) -> Points:
    """At most `most` points, means over neighbours."""
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
