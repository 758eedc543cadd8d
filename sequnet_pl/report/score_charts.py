"""Charts of a test's scores."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from sequnet_pl.report.figures import COLOURS, QUIET, new_figure
from sequnet_pl.report.scores import NETWORK, TABLE, DistanceScore, RecordingScore, Scores

_MANY = 1000  # dots, from which on they are drawn as a picture: a line of SVG each would make the page slow


def distance_chart(scores: Scores) -> Figure:
    """Bits per sample by the distance from the start of the recording, on a logarithmic axis of seconds."""
    figure, axes = new_figure("seconds since the start of the recording", "bits per sample")
    edges = np.array([one.start for one in scores.distances] + [0], float)
    edges[0] = edges[1] / 2 or 1  # there is no zero on the axis
    edges[-1] = max(2 * edges[-2], *(one.samples for one in scores.recordings))
    edges /= scores.sample_rate
    network, table = _bits(scores.distances)
    axes.stairs(table, edges, baseline=None, color=QUIET, linewidth=1.5, label=TABLE)
    axes.stairs(network, edges, baseline=None, color=COLOURS[0], linewidth=2, label=NETWORK)
    field = scores.receptive_field / scores.sample_rate
    axes.axvline(field, color=COLOURS[1], linestyle=":", label=f"receptive field, {field:.3g} s")
    axes.set_xscale("log")
    axes.set_xlim(edges[0], edges[-1])
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.legend()
    return figure


def recordings_chart(scores: Scores) -> Figure:
    """Bits per sample of each recording, the best first."""
    figure, axes = new_figure("recordings, the best first", "bits per sample")
    ranked = scores.ranked[::-1]
    ranks, many = np.arange(1, len(ranked) + 1), len(ranked) > _MANY
    network, table = _bits(ranked)
    axes.plot(ranks, table, "o", color=QUIET, markersize=4, label=TABLE, rasterized=many)
    axes.plot(ranks, network, "o", color=COLOURS[0], markersize=4, label=NETWORK, rasterized=many)
    mean = scores.bits_per_sample[NETWORK]
    if mean is not None:
        axes.axhline(mean, color=COLOURS[0], linestyle=":", label=f"{NETWORK}, all samples")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend()
    return figure


def calibration_chart(scores: Scores) -> Figure:
    """Reliability diagram: how often the likeliest code is right, by the probability that it was given."""
    figure, axes = new_figure("confidence: probability of the likeliest code", "share", height=4)
    bins = scores.calibration
    starts, widths = [one.start for one in bins], [one.end - one.start for one in bins]
    shares = np.array([one.samples for one in bins]) / max(1, scores.samples)
    axes.bar(starts, shares, widths, align="edge", color=QUIET, alpha=0.35, label="share of all samples")
    axes.plot([0, 1], [0, 1], color=QUIET, linestyle="--", label="perfect: 70 % means 70 %")
    points = [(one.confidence, one.accuracy) for one in bins if one.confidence is not None]
    axes.plot(
        *np.array(points, float).reshape(-1, 2).T, "o-", color=COLOURS[0], label=f"{NETWORK}: share that was right"
    )
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.legend()
    return figure


def _bits(bins: Sequence[RecordingScore | DistanceScore]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of the network and of the table, NaN where there is none."""
    pairs = [(one.bits_per_sample, one.table_bits_per_sample) for one in bins]
    network, table = np.array(pairs, float).reshape(-1, 2).T
    return network, table
