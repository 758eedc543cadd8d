"""Charts of a comparison."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from benchmarks.comparison.results import Found
from benchmarks.comparison.rows import NAMES, NETWORKS, advantages
from sequnet_pl.report.charts import OVER, REFERENCES, Chart
from sequnet_pl.report.figures import COLOURS, QUIET, new_figure
from sequnet_pl.report.metrics import Metrics, thinned

_COLOUR = {"sequnet": COLOURS[0], "wavenet": COLOURS[1]}
_TABLE = "reference/code_triples"


def learning_chart(folders: dict[str, Path], over: str) -> Figure:
    """Bits per sample over steps or wall time, a key of OVER; from the metrics.csv of each run."""
    figure, axes = new_figure(OVER[over], "bits per sample")
    references: dict[str, float] = {}
    for network, folder in folders.items():
        metrics = Metrics(folder)
        for split, style in (("train", {"alpha": 0.35, "linewidth": 1}), ("val", {"marker": "o", "markersize": 4})):
            points = thinned(metrics.curve(f"{split}/bits_per_sample", over))
            axes.plot(*points, color=_COLOUR[network], label=f"{NAMES[network]}, {split}", **style)
        if (height := metrics.last(_TABLE)) is not None:
            references[REFERENCES[_TABLE]] = height
    Chart("", OVER[over], "", {}, references).draw(axes)
    axes.set_ylim(top=min(axes.get_ylim()[1], 8.2))  # an untrained network may be worse than a uniform guess
    axes.legend()
    return figure


def distance_chart(found: dict[str, Found]) -> Figure:
    """Bits per sample on test by the distance from the start of the recording, and the receptive fields."""
    figure, axes = new_figure("seconds since the start of the recording", "bits per sample, test")
    for network in NETWORKS:
        trained, scores = found[f"train {network}"], found[f"test {network}"]
        rate, bins = trained["data"]["sample_rate"], scores["distances"]
        edges = np.array([one["start"] for one in bins] + [0], float)
        edges[0] = edges[1] / 2 or 1  # there is no zero on the axis
        edges[-1] = 2 * edges[-2]
        bits = np.array([one["bits_per_sample"] for one in bins], float)  # NaN where there is none
        axes.stairs(bits, edges / rate, baseline=None, color=_COLOUR[network], linewidth=2, label=NAMES[network])
        axes.axvline(trained["receptive_field"] / rate, color=_COLOUR[network], linestyle=":")
    axes.plot([], [], color=QUIET, linestyle=":", label="receptive fields")
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.legend()
    return figure


def claim_chart(found: dict[str, Found]) -> Figure:
    """How many times better the Seq-U-Net is, beside what is claimed."""
    names, times, claims = zip(*reversed(list(advantages(found))), strict=True)
    figure, axes = new_figure("times better than the WaveNet", "", height=2.8)
    labels = [f"{name}:  {value:.2f}" for name, value in zip(names, times, strict=True)]
    axes.barh(labels, times, color=COLOURS[0], height=0.55, label="measured")
    places = np.arange(len(names))
    axes.vlines(claims, places - 0.4, places + 0.4, color=COLOURS[2], linewidth=3, label="claim, at least")
    axes.set_xlim(0, 1.15 * max(*times, *claims))
    axes.grid(axis="y", visible=False)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False)  # nothing is below it there
    return figure
