"""Charts as plain values, which page.js draws with BokehJS."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from scipy.ndimage import gaussian_filter1d

from sequnet_pl.report.run_folder import Metrics, Points, thinned

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

_MAX_BITS = 8.5  # end of the axis; a uniform distribution has 8, an untrained network may be worse
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

Series = dict[str, Any]
"""See `series`."""
Chart = dict[str, Any]
"""See `chart`."""


def chart(title: str, xlabel: str, drawn: Sequence[Series], **axes: Any) -> Chart:
    """A chart of series, later ones above earlier ones.

    Args:
        title: Heading.
        xlabel: Label of the horizontal axis.
        drawn: The series.
        axes: `log_x` and `log_y` for logarithmic axes; `min`, the lower end of the vertical axis, and `max`, its
            largest upper end.
    """
    return {"title": title, "xlabel": xlabel, "series": drawn, "log_x": False, "log_y": False} | axes


def series(name: str, points: ArrayLike, colour: str, kind: str = "line", faint: bool = False) -> Series:
    """Points (2, N), increasing positions and values; NaN breaks a line. A series without a name has no legend.

    `kind`: line, reference (dashed), steps (each value up to the next position), area (filled steps) or dots.
    """
    xs, ys = (
        [float(f"{value:.6g}") if np.isfinite(value) else None for value in row] for row in np.asarray(points, float)
    )
    return {"name": name, "x": xs, "y": ys, "colour": colour, "kind": kind, "faint": faint}


def score_charts(metrics: Metrics) -> Iterator[tuple[str, Chart]]:
    """Bits per sample over each axis of OVER, with the baselines."""
    for over, (word, xlabel) in OVER.items():
        drawn = []
        for (name, label), colour in zip(_SCORES.items(), COLOURS, strict=False):
            if (points := metrics.curve(name, over)).shape[1]:
                drawn += (
                    smoothed(label, points, colour) if label == "train" else [series(label, thinned(points), colour)]
                )
        if drawn:
            yield word, score_chart(drawn, xlabel, references(metrics))


def score_chart(drawn: Sequence[Series], xlabel: str, baselines: Mapping[str, float]) -> Chart:
    """Curves of bits per sample with baselines, dashed lines across."""
    ends = [min(min(one["x"]) for one in drawn), max(max(one["x"]) for one in drawn)]
    lines = [series(f"{name} {bits:.3f}", (ends, [bits, bits]), GREY, "reference") for name, bits in baselines.items()]
    return chart("bits per sample", xlabel, [*lines, *drawn], max=_MAX_BITS)


def smoothed(label: str, points: Points, colour: str) -> list[Series]:
    """A noisy curve: faint as it was logged and, if it has enough points, smoothed above it."""
    raw = thinned(points)
    if raw.shape[1] < _SMOOTHED_FROM:
        return [series(label, raw, colour)]
    mean = gaussian_filter1d(raw[1], raw.shape[1] / 60, mode="nearest")
    return [series("", raw, colour, faint=True), series(label, (raw[0], mean), colour)]


def references(metrics: Metrics) -> dict[str, float]:
    """Bits per sample of the baselines that were logged, by label."""
    return {label: value for name, label in REFERENCES.items() if (value := metrics.last(name)) is not None}


def measure_charts(metrics: Metrics) -> Iterator[Chart]:
    """Learning rate, gradient norm, speed and memory over steps."""
    if rates := _learning_rates(metrics):
        yield chart("learning rate", "step", rates, min=0)
    for name, (title, unit, factor) in _MEASURES.items():
        steps, values = thinned(metrics.curve(name))
        if len(steps):
            yield chart(title, "step", [series(unit, (steps, factor * values), COLOURS[0])], min=0)


def _learning_rates(metrics: Metrics) -> list[Series]:
    """One curve for all parameter groups that have the same learning rate; Lightning numbers those without a name."""
    groups: dict[bytes, list[str]] = {}
    for name in metrics.names("lr-"):
        if (points := metrics.curve(name)).shape[1]:
            groups.setdefault(points.tobytes(), []).append(name)
    drawn = []
    for names, colour in zip(groups.values(), COLOURS, strict=False):
        named = [group for _, _, group in (name.rpartition("/") for name in names) if not group.startswith("pg")]
        label = "all weights" if len(groups) == 1 else ", ".join(named) or "other weights"
        drawn.append(series(label, thinned(metrics.curve(names[0])), colour))
    return drawn


def codes_chart(real: Sequence[int], generated: Sequence[int]) -> Chart:
    """Relative frequency of each code in recordings and in generated clips, on a logarithmic axis."""
    edges, (recorded, made) = np.arange(len(real) + 1) - 0.5, _shares([*real, 0], [*generated, 0])
    drawn = [
        series("recordings", (edges, recorded), GREY, "area"),
        series("generated", (edges, made), COLOURS[0], "steps"),
    ]
    return chart("codes, real and generated, % of the samples", "code", drawn, log_y=True)


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
