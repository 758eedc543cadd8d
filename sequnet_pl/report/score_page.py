"""The page of a test: scores by distance from the start of a recording, by recording, and by confidence."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sequnet_pl.report.charts import COLOURS, GREY, Chart, series
from sequnet_pl.report.page import fixed, percent, write_page
from sequnet_pl.report.run_folder import run_pages, run_title
from sequnet_pl.report.scores import NETWORK, TABLE, DistanceScore, RecordingScore, Scores

FEW = 100
"""Samples in a bin of the calibration below which its accuracy is uncertain."""
_SHOWN = 50  # recordings at either end
_DOTS = 1000  # more cannot be distinguished


def write_score_page(path: Path, scores: Scores) -> None:
    """Write the page to `path`. Raises UserError if it cannot be written."""
    worst, best = scores.ends(_SHOWN)
    rate = scores.sample_rate
    facts = {
        "bits per sample": fixed(scores.bits_per_sample[NETWORK]),
        "accuracy": percent(scores.accuracy),
        "calibration error": percent(scores.expected_calibration_error),
        "checkpoint": scores.checkpoint or "–",
        "trained for": "–" if scores.step is None else f"{scores.step:,} steps",
        "receptive field": _receptive_field(scores),
        "recordings": f"{len(scores.recordings):,}, {scores.samples / rate / 3600:.3f} hours at {rate} Hz",
        "data": f"{scores.store}, {scores.fingerprint}",
    }
    write_page(
        path,
        "test.html",
        run_title(path.parent, "test"),
        run_pages(path.parent),
        scores=scores,
        names=(NETWORK, TABLE),
        test_facts=facts,
        worst=worst,
        best=best,
        few=FEW,
        distance=_distance_chart(scores),
        recordings=_recordings_chart(scores),
        calibration=_calibration_chart(scores),
    )


def _receptive_field(scores: Scores) -> str:
    if scores.receptive_field is None:
        return "unbounded"
    return f"{scores.receptive_field:,} samples, {scores.receptive_field / scores.sample_rate:.3g} s"


def _distance_chart(scores: Scores) -> Chart:
    edges = np.array([one.start for one in scores.distances] + [0], float)
    edges[0] = edges[1] / 2 or 1  # there is no zero on a logarithmic axis
    edges[-1] = max(2 * edges[-2], *(one.samples for one in scores.recordings))
    seconds, (network, table) = edges / scores.sample_rate, _bits(scores.distances)
    field = (scores.receptive_field or math.inf) / scores.sample_rate
    inside = seconds[0] < field < seconds[-1]
    return Chart(
        title="bits per sample by distance from the start",
        xlabel="seconds from the start of the recording",
        series=[
            series(TABLE, seconds, np.append(table, table[-1:]), GREY, "steps"),
            series(NETWORK, seconds, np.append(network, network[-1:]), COLOURS[0], "steps"),
        ],
        marks={f"receptive field, {field:.3g} s": (field, COLOURS[1])} if inside else {},
        log_x=True,
    )


def _recordings_chart(scores: Scores) -> Chart:
    ranked = scores.ranked[::-1]
    ranks = np.unique(np.linspace(0, len(ranked) - 1, min(_DOTS, len(ranked))).astype(int))
    network, table = _bits([ranked[rank] for rank in ranks])
    mean = scores.bits_per_sample[NETWORK]
    return Chart(
        title="bits per sample of each recording",
        xlabel="recordings, the best first",
        series=[
            series(TABLE, ranks + 1, table, GREY, "dots", 5),
            series(NETWORK, ranks + 1, network, COLOURS[0], "dots", 5),
        ],
        lines={} if mean is None else {f"{NETWORK}, all samples": mean},
    )


def _calibration_chart(scores: Scores) -> Chart:
    """Reliability diagram: accuracy of the likeliest code by its probability."""
    bins = scores.calibration
    edges = [*(one.start for one in bins), 1.0]
    shares = [one.samples / max(1, scores.samples) for one in bins]
    shares += shares[-1:]  # a step reaches to the next edge
    drawn = [
        series("share of all samples", edges, shares, GREY, "area"),
        series("perfect calibration", [0, 1], [0, 1], GREY, width=1),
    ]
    for name, few in (("accuracy of the network", False), (f"of fewer than {FEW} samples", True)):
        shown = [one for one in bins if one.confidence is not None and (one.samples < FEW) == few]
        x, y = np.array([(one.confidence, one.accuracy) for one in shown], float).reshape(-1, 2).T
        if len(shown):
            drawn.append(series(name, x, y, COLOURS[0], "dots" if few else "line", width=5 if few else 2, faint=few))
    return Chart(
        title="calibration",
        xlabel="confidence: probability of the likeliest code",
        series=drawn,
        min=0,
        max=1,
        height=320,
    )


def _bits(bins: Sequence[RecordingScore | DistanceScore]) -> NDArray[np.float64]:
    """Bits per sample of the network and of the baseline, (2, N); NaN for a missing score."""
    return np.array([(one.bits_per_sample, one.table_bits_per_sample) for one in bins], float).reshape(-1, 2).T
