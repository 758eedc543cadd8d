"""Charts as plain values, which page.js draws with BokehJS."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from scipy.ndimage import gaussian_filter1d

from sequnet_pl.report.run_folder import Metrics, Points, thinned


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A chart.

    Attributes:
        title, xlabel, unit: Texts; `unit` is that of the vertical axis.
        series: See `series`; later ones are drawn above earlier ones.
        lines: Named values, drawn as dashed lines across.
        marks: Position and colour of named vertical lines.
        log_x, log_y: Logarithmic axes.
        min, max: Ends of the vertical axis; None: of the values.
        most: Largest end of the vertical axis, if `max` is None.
        height: Pixels.
    """

    title: str
    xlabel: str
    series: Sequence[Mapping[str, Any]]
    unit: str = ""
    lines: Mapping[str, float] = field(default_factory=dict)
    marks: Mapping[str, tuple[float, str]] = field(default_factory=dict)
    log_x: bool = False
    log_y: bool = False
    min: float | None = None
    max: float | None = None
    most: float | None = None
    height: int = 260


COLOURS = tuple(f"var(--curve-{number})" for number in range(1, 7))
"""CSS colours of curves, in this order; page.css has their values for light and dark pages."""
GREY = "var(--soft)"
"""CSS colour of references."""
OVER = {
    "step": ("steps", "step"),
    "hours_heard": ("hours of audio", "hours of audio"),
    "wall_hours": ("time", "hours of training"),
}
"""Horizontal axes of scores: column of metrics.csv, word on the switch, and label of the axis."""
REFERENCES = {
    "reference/single_codes": "unigram baseline",
    "reference/code_pairs": "bigram baseline",
    "reference/code_triples": "trigram baseline",
}
"""Baselines of scores: column of metrics.csv and label."""
MAX_BITS = 8.5
"""Upper end of the axis of bits per sample; a uniform distribution has 8, an untrained network may be worse."""

_SCORES = {
    "train/bits_per_sample": "train",
    "val/bits_per_sample": "validation",
    "val/bits_per_sample_without_ema": "validation without weight averaging",
}
_MEASURES = {
    "train/gradient_norm": ("gradient norm", "before clipping", 1.0),
    "speed/samples_per_second": ("speed", "samples a second", 1.0),
    "speed/data_wait": ("waiting for data", "% of the time", 100.0),
    "speed/memory_gib": ("memory", "GiB, peak", 1.0),
}
_SMOOTHED_FROM = 30  # points


def series(
    name: str, x: ArrayLike, y: ArrayLike, colour: str, kind: str = "line", width: float = 2, faint: bool = False
) -> dict[str, Any]:
    """Points (N,) over (N,), `x` increasing; NaN breaks a line. A series without a name is not in the legend.

    `kind`: line, steps (each value up to the next position), area (filled steps) or dots.
    """
    xs, ys = (
        [float(f"{value:.6g}") if np.isfinite(value) else None for value in np.asarray(part, float)] for part in (x, y)
    )
    return {"name": name, "x": xs, "y": ys, "colour": colour, "kind": kind, "width": width, "faint": faint}


def score_charts(metrics: Metrics) -> Iterator[tuple[str, Chart]]:
    """Bits per sample over each axis of OVER, with the baselines."""
    for over, (word, xlabel) in OVER.items():
        drawn = []
        for (name, label), colour in zip(_SCORES.items(), COLOURS, strict=False):
            if (points := metrics.curve(name, over)).shape[1]:
                drawn += smoothed(label, points, colour) if label == "train" else [_line(label, points, colour)]
        if drawn:
            yield word, score_chart(drawn, xlabel, references(metrics))


def score_chart(
    drawn: Sequence[Mapping[str, Any]], xlabel: str, lines: Mapping[str, float], height: int = 260
) -> Chart:
    """Curves of bits per sample with baselines."""
    return Chart(title="bits per sample", xlabel=xlabel, series=drawn, lines=lines, most=MAX_BITS, height=height)


def smoothed(label: str, points: Points, colour: str) -> list[dict[str, Any]]:
    """A noisy curve: faint as it was logged and, if it has enough points, smoothed above it."""
    raw = thinned(points)
    if raw.shape[1] < _SMOOTHED_FROM:
        return [_line(label, raw, colour)]
    mean = gaussian_filter1d(raw[1], raw.shape[1] / 60, mode="nearest")
    return [_line("", raw, colour, faint=True), series(label, raw[0], mean, colour)]


def _line(label: str, points: Points, colour: str, faint: bool = False) -> dict[str, Any]:
    x, y = thinned(points)
    return series(label, x, y, colour, faint=faint)


def references(metrics: Metrics) -> dict[str, float]:
    """Bits per sample of the baselines that were logged, by label."""
    return {label: value for name, label in REFERENCES.items() if (value := metrics.last(name)) is not None}


def measure_charts(metrics: Metrics) -> Iterator[Chart]:
    """Learning rate, gradient norm, speed and memory over steps."""
    if rates := _learning_rates(metrics):
        yield Chart(title="learning rate", xlabel="step", series=rates, min=0, height=160)
    for name, (title, unit, factor) in _MEASURES.items():
        x, y = thinned(metrics.curve(name))
        if len(x):
            drawn = [series(title, x, factor * y, COLOURS[0])]
            yield Chart(title=title, unit=unit, xlabel="step", series=drawn, min=0, height=160)


def _learning_rates(metrics: Metrics) -> list[dict[str, Any]]:
    """One curve for all parameter groups that have the same learning rate."""
    groups: dict[bytes, list[str]] = {}
    for name in metrics.names("lr-"):
        if (points := metrics.curve(name)).shape[1]:
            groups.setdefault(points.tobytes(), []).append(name)
    drawn = []
    for names, colour in zip(groups.values(), COLOURS, strict=False):
        label = "learning rate" if len(groups) == 1 else ", ".join(name.removeprefix("lr-") for name in names)
        drawn.append(_line(label, metrics.curve(names[0]), colour))
    return drawn


def codes_chart(real: Sequence[int], generated: Sequence[int]) -> Chart:
    """Relative frequency of each code in recordings and in generated clips, on a logarithmic axis."""
    edges, (recorded, made) = np.arange(len(real) + 1) - 0.5, _shares([*real, 0], [*generated, 0])
    drawn = [
        series("recordings", edges, recorded, GREY, "area"),
        series("generated", edges, made, COLOURS[0], "steps", 1.5),
    ]
    title, unit = "codes, real and generated", "% of the samples"
    return Chart(title=title, unit=unit, xlabel="code", series=drawn, log_y=True)


def codes_figure(real: Sequence[int], generated: Sequence[int]) -> Figure:
    """The same chart as a picture for loggers."""
    codes, (recorded, made) = np.arange(len(real)), _shares(real, generated)
    figure = Figure(figsize=(7.6, 3.2), layout="constrained")
    axes = figure.add_subplot()
    axes.step(codes, recorded, where="post", color="grey", label="recordings")
    axes.step(codes, made, where="post", color="purple", linewidth=1, label="generated")
    axes.set(yscale="log", xlabel="code", ylabel="% of the samples", title="codes, real and generated")
    axes.legend()
    return figure


def _shares(*histograms: Sequence[int]) -> list[np.ndarray]:
    """In percent; NaN for 0, which a logarithmic axis does not have."""
    shares = [100 * np.array(counts, float) / max(1, sum(counts)) for counts in histograms]
    return [np.where(share > 0, share, np.nan) for share in shares]
