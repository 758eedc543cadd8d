"""The charts of a run: is it learning, is it fast, does what it makes look like what it heard."""

from collections.abc import Iterator, Sequence

import numpy as np

from sequnet_pl.report.chart import COLOURS, QUIET, Chart, Curve, Look
from sequnet_pl.report.metrics import Metrics, thinned

OVER = {
    "step": ("steps", "step"),
    "hours_heard": ("hours of audio", "hours of audio heard"),
    "wall_hours": ("time", "hours of training"),
}
"""What scores are drawn over: the word on the switch, and on the axis."""
BITS_AT_MOST = 8.5
"""Where charts of bits per sample end: an untrained network may be much worse than a uniform guess, at 8."""

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
    "speed/samples_per_second": ("speed", "samples a second", 1.0),
    "speed/data_wait": ("waiting for data", "% of the time", 100.0),
    "speed/memory_gib": ("memory", "GiB, peak", 1.0),
}


def references(metrics: Metrics) -> dict[str, float]:
    """Bits per sample of the tables that were logged, by their names for people."""
    return {label: value for name, label in REFERENCES.items() if (value := metrics.last(name)) is not None}


def score_charts(metrics: Metrics) -> Iterator[tuple[str, Chart]]:
    """Bits per sample over each of `OVER`, with the tables that they are compared with."""
    for over, (word, xlabel) in OVER.items():
        if curves := _curves({label: (name, 1.0) for name, label in _SCORES.items()}, metrics, over):
            yield (
                word,
                Chart(
                    title=f"bits per sample over {word}",
                    xlabel=xlabel,
                    ylabel="bits per sample",
                    curves=curves,
                    heights=references(metrics),
                    most=BITS_AT_MOST,
                ),
            )


def measure_charts(metrics: Metrics) -> Iterator[Chart]:
    """Learning rate, gradient norm, speed and memory over steps."""
    if rates := _curves({name: (name, 1.0) for name in metrics.names("lr-")}, metrics):
        yield Chart(title="learning rate", xlabel="step", ylabel="", curves=rates, bottom=0, size=10)
    for name, (title, ylabel, factor) in _MEASURES.items():
        if curves := _curves({title: (name, factor)}, metrics):
            yield Chart(title=title, xlabel="step", ylabel=ylabel, curves=curves, bottom=0, size=10)


def _curves(named: dict[str, tuple[str, float]], metrics: Metrics, over: str = "step") -> list[Curve]:
    """Metrics, each with a factor, that have been logged; a name has the same colour whatever else there is."""
    found = []
    for (name, (metric, factor)), colour in zip(named.items(), COLOURS, strict=False):
        points = thinned(metrics.curve(metric, over)) * np.array([[1.0], [factor]])
        if points.shape[1]:
            found.append(Curve(name=name, points=points, colour=colour))
    return found


def codes_chart(real: Sequence[int], generated: Sequence[int]) -> Chart:
    """How often each code occurs in recordings and in what was generated, in percent on a logarithmic axis."""
    edges = np.arange(len(real) + 1) - 0.5
    shares = [100 * np.array([*counts, counts[-1]], np.float64) / max(1, sum(counts)) for counts in (real, generated)]
    shares = [np.where(share > 0, share, np.nan) for share in shares]  # there is no zero on the axis
    return Chart(
        title="codes, real and generated",
        xlabel="code",
        ylabel="% of the samples",
        curves=[
            Curve(name="recordings", points=np.array([edges, shares[0]], np.float64), colour=QUIET, look=Look.AREA),
            Curve(
                name="generated",
                points=np.array([edges, shares[1]], np.float64),
                colour=COLOURS[0],
                look=Look.STEPS,
                width=1.5,
            ),
        ],
        log_y=True,
    )
