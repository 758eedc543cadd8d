"""Charts of a comparison."""

from pathlib import Path

import numpy as np

from benchmarks.comparison.results import Found
from benchmarks.comparison.rows import NAMES, NETWORKS, advantages
from sequnet_pl.report.chart import COLOURS, Chart, Curve, Look
from sequnet_pl.report.charts import BITS_AT_MOST, OVER, REFERENCES
from sequnet_pl.report.metrics import Metrics, thinned

_COLOUR = {"sequnet": COLOURS[0], "wavenet": COLOURS[1]}
_TABLE = "reference/code_triples"


def learning_chart(folders: dict[str, Path], over: str) -> Chart:
    """Bits per sample over steps or wall time, a key of OVER; from the metrics.csv of each run."""
    curves, heights = [], {}
    for network, folder in folders.items():
        metrics = Metrics(folder)
        for split, fades in (("train", True), ("val", False)):
            points = thinned(metrics.curve(f"{split}/bits_per_sample", over))
            name = f"{NAMES[network]}, {split}"
            curves.append(Curve(name=name, points=points, colour=_COLOUR[network], fades=fades))
        if (height := metrics.last(_TABLE)) is not None:
            heights[REFERENCES[_TABLE]] = height
    word, xlabel = OVER[over]
    return Chart(
        title=f"learning over {word}",
        xlabel=xlabel,
        ylabel="bits per sample",
        curves=curves,
        heights=heights,
        most=BITS_AT_MOST,
    )


def distance_chart(found: dict[str, Found]) -> Chart:
    """Bits per sample on test by the distance from the start of the recording, and the receptive fields."""
    curves, places = [], {}
    for network in NETWORKS:
        trained, scores = found[f"train {network}"], found[f"test {network}"]
        rate, bins = trained["data"]["sample_rate"], scores["distances"]
        edges = np.array([one["start"] for one in bins] + [0], float)
        edges[0] = edges[1] / 2 or 1  # there is no zero on the axis
        edges[-1] = 2 * edges[-2]
        bits = np.array([one["bits_per_sample"] for one in bins] + [np.nan], float)  # NaN where there is none
        points, colour = np.array([edges / rate, bits]), _COLOUR[network]
        curves.append(Curve(name=NAMES[network], points=points, colour=colour, look=Look.STEPS))
        places[f"receptive field of {NAMES[network]}"] = (trained["receptive_field"] / rate, colour)
    return Chart(
        title="test score by distance from the start of the recording",
        xlabel="seconds since the start of the recording",
        ylabel="bits per sample, test",
        curves=curves,
        places=places,
        log_x=True,
    )


def claim_chart(found: dict[str, Found]) -> Chart:
    """How many times better the Seq-U-Net is, beside what is claimed."""
    names, times, claims = zip(*reversed(list(advantages(found))), strict=True)
    rows = range(len(names))
    bars = np.array([(x, row) for row, value in enumerate(times) for x in (0.0, value, np.nan)], float).T
    ticks = np.array([(claim, row + y) for row, claim in enumerate(claims) for y in (-0.4, 0.4, np.nan)], float).T
    return Chart(
        title="how many times better the Seq-U-Net is",
        xlabel="times better than the WaveNet",
        ylabel="",
        curves=[
            Curve(name="measured", points=bars, colour=COLOURS[0], look=Look.STROKE, width=16),
            Curve(name="claim, at least", points=ticks, colour=COLOURS[2], look=Look.STROKE, width=3),
        ],
        rows=[f"{names[row]}: {times[row]:.2f}" for row in rows],
        size=15,
    )
