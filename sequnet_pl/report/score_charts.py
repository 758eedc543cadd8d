"""Charts of a test's scores."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sequnet_pl.report.chart import COLOURS, QUIET, Chart, Curve, Look, few
from sequnet_pl.report.scores import NETWORK, TABLE, DistanceScore, RecordingScore, Scores

FEW = 100
"""Samples in a bin of the calibration, below which their share that was right says little."""


def distance_chart(scores: Scores) -> Chart:
    """Bits per sample by the distance from the start of the recording, on a logarithmic axis of seconds."""
    edges = np.array([one.start for one in scores.distances] + [0], float)
    edges[0] = edges[1] / 2 or 1  # there is no zero on the axis
    edges[-1] = max(2 * edges[-2], *(one.samples for one in scores.recordings))
    network, table = (np.append(bits, np.nan) for bits in _bits(scores.distances))
    places = edges / scores.sample_rate
    field = scores.receptive_field / scores.sample_rate
    return Chart(
        title="bits per sample by distance from the start",
        xlabel="seconds since the start of the recording",
        ylabel="bits per sample",
        curves=[
            Curve(name=TABLE, points=np.array([places, table]), colour=QUIET, look=Look.STEPS),
            Curve(name=NETWORK, points=np.array([places, network]), colour=COLOURS[0], look=Look.STEPS),
        ],
        places={f"receptive field, {field:.3g} s": (field, COLOURS[1])} if places[0] < field < places[-1] else {},
        log_x=True,
    )


def recordings_chart(scores: Scores) -> Chart:
    """Bits per sample of each recording, the best first."""
    ranked = scores.ranked[::-1]
    network, table = (few(np.array([np.arange(1.0, len(ranked) + 1), bits])) for bits in _bits(ranked))
    mean = scores.bits_per_sample[NETWORK]
    return Chart(
        title="bits per sample of each recording",
        xlabel="recordings, the best first",
        ylabel="bits per sample",
        curves=[
            Curve(name=TABLE, points=table, colour=QUIET, look=Look.DOTS, width=5),
            Curve(name=NETWORK, points=network, colour=COLOURS[0], look=Look.DOTS, width=5),
        ],
        heights={} if mean is None else {f"{NETWORK}, all samples": mean},
    )


def calibration_chart(scores: Scores) -> Chart:
    """Reliability diagram: how often the likeliest code is right, by the probability that it was given."""
    bins = scores.calibration
    edges = np.array([one.start for one in bins] + [1.0])
    shares = np.array([one.samples for one in bins] + [np.nan]) / max(1, scores.samples)
    known = [one for one in bins if one.confidence is not None]
    firm, weak = (
        np.array([(one.confidence, one.accuracy) for one in known if (one.samples >= FEW) == enough], float)
        for enough in (True, False)
    )
    diagonal = np.array([[0.0, 1.0], [0.0, 1.0]])
    curves = [
        Curve(name="share of all samples", points=np.array([edges, shares]), colour=QUIET, look=Look.AREA),
        Curve(name="perfect: 70 % means 70 %", points=diagonal, colour=QUIET, look=Look.STROKE, width=1),
        Curve(name=f"{NETWORK}: share that was right", points=firm.reshape(-1, 2).T, colour=COLOURS[0]),
    ]
    if len(weak):
        name = f"of fewer than {FEW} samples"
        curves.append(Curve(name=name, points=weak.T, colour=COLOURS[0], look=Look.DOTS, width=5, fades=True))
    return Chart(
        title="calibration",
        xlabel="confidence: probability of the likeliest code",
        ylabel="share",
        curves=curves,
        bottom=0,
        top=1,
        size=20,
    )


def _bits(bins: Sequence[RecordingScore | DistanceScore]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of the network and of the table, NaN where there is none."""
    pairs = [(one.bits_per_sample, one.table_bits_per_sample) for one in bins]
    network, table = np.array(pairs, float).reshape(-1, 2).T
    return network, table
