"""Scores of a test, overall and in parts, with baselines: their tables on a terminal, and their page."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from sequnet_pl.report.charts import COLOURS, GREY, Chart, series
from sequnet_pl.report.page import fixed, percent, receptive_field, write_page
from sequnet_pl.report.run_folder import run_pages, run_title

NETWORK = "this network"
"""Key of the network among the bits per sample."""
TABLE = "trigram baseline"
"""Heading of the bits per sample of the trigram baseline."""

FEW = 100
"""Samples in a bin of the calibration below which its accuracy is uncertain."""
_SHOWN = 50  # recordings at either end
_DOTS = 1000  # more cannot be distinguished
_PRINTED = 3  # recordings at either end, on a terminal


@dataclass(frozen=True, kw_only=True)
class _Predicted:
    samples: int
    """Number of predictions."""
    bits_per_sample: float | None
    """Of the network; None if nothing was predicted, or it is not finite."""
    table_bits_per_sample: float | None
    """Of the trigram baseline for the same samples."""


@dataclass(frozen=True, kw_only=True)
class RecordingScore(_Predicted):
    """Predictions of one recording."""

    name: str
    """Path below the folder that holds all recordings."""


@dataclass(frozen=True, kw_only=True)
class LabelScore(_Predicted):
    """Predictions of the recordings of one label."""

    name: str
    """Empty for recordings without a label that the network knows."""
    recordings: int


@dataclass(frozen=True, kw_only=True)
class Recognition:
    """How often the label with which a recording takes the fewest bits is its own."""

    recordings: int
    """Number of recordings that were scored with each label."""
    labels: int
    """Number of labels, without "no label"."""
    accuracy: float
    """Share of the recordings for which it is."""
    bits_per_sample: float
    """Of these recordings with their labels."""
    unlabelled_bits_per_sample: float
    """Of these recordings with no label."""

    def __str__(self) -> str:
        return (
            f"of {self.labels} labels the right one takes the fewest bits for {percent(self.accuracy)} of "
            f"{self.recordings} recordings (chance {percent(1 / self.labels)}); {fixed(self.bits_per_sample)} bits per "
            f"sample with the right label, {fixed(self.unlabelled_bits_per_sample)} with none"
        )


@dataclass(frozen=True, kw_only=True)
class DistanceScore(_Predicted):
    """Predictions of samples `start` to `end` (exclusive; None: to the end), counted from the recording's start."""

    start: int
    end: int | None


@dataclass(frozen=True, kw_only=True)
class ConfidenceScore:
    """Predictions whose likeliest code has a probability of `start` to `end`."""

    start: float
    end: float
    samples: int
    confidence: float | None
    """Mean probability of the likeliest code; None without samples."""
    accuracy: float | None
    """Share of samples for which the likeliest code is right; None without samples."""


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Scores of a test; `test.json` has all of them under the same names.

    Attributes:
        network: sequnet or wavenet.
        checkpoint: the tested file, if there is one.
        step: training steps, if the checkpoint has them.
        store: folder of the codes.
        fingerprint: short hash of the data.
        sample_rate: Hz.
        receptive_field: samples; None where it is unbounded.
        samples: predictions, all of the test split.
        bits_per_sample: of the uniform and the n-gram baselines, and of "this network"; by name.
        accuracy: share of samples for which the likeliest code is right.
        expected_calibration_error: mean of |accuracy - confidence| over `calibration`, weighted by samples
            (Guo et al. 2017, https://arxiv.org/abs/1706.04599), of the likeliest code.
        table_samples: number of codes that the n-gram baselines were counted on, at most.
        recordings: in the order of the split.
        distances: by distance from the start of the recording, the nearest first.
        calibration: by confidence, the lowest first.
        labels: of a network with labels, in their order.
        recognition: of a network with labels.
    """

    network: str
    checkpoint: str | None
    step: int | None
    store: str
    fingerprint: str
    sample_rate: int
    receptive_field: int | None
    samples: int
    bits_per_sample: dict[str, float | None]
    accuracy: float | None
    expected_calibration_error: float | None
    table_samples: int
    recordings: Sequence[RecordingScore]
    distances: Sequence[DistanceScore]
    calibration: Sequence[ConfidenceScore]
    labels: Sequence[LabelScore] = ()
    recognition: Recognition | None = None

    @property
    def ranked(self) -> list[RecordingScore]:
        """The recordings that have a score, the most bits per sample first."""
        scored = [one for one in self.recordings if one.bits_per_sample is not None]
        return sorted(scored, key=lambda one: one.bits_per_sample or 0.0, reverse=True)

    def ends(self, count: int) -> tuple[list[RecordingScore], list[RecordingScore]]:
        """The worst and the best recordings, `count` of each; all as the worst if there are no more."""
        ranked = self.ranked
        return (ranked[:count], ranked[-count:]) if len(ranked) > 2 * count else (ranked, [])


def print_scores(console: Console, scores: Scores) -> None:
    """Print bits per sample with baselines, the worst and the best recordings, accuracy and calibration error."""
    table = Table("", Column("bits per sample", justify="right"))
    for name, value in scores.bits_per_sample.items():
        table.add_row(name, fixed(value))
    console.print(table)
    worst, best = scores.ends(_PRINTED)
    header = (Column(name, justify="right") for name in ("seconds", NETWORK, TABLE))
    table = Table(Column("recording", overflow="fold"), *header)
    for group in (worst, best):
        for one in group:
            seconds = f"{one.samples / scores.sample_rate:.2f}"
            table.add_row(Text(one.name), seconds, fixed(one.bits_per_sample), fixed(one.table_bits_per_sample))
        table.add_section()
    console.print(table)
    if scores.labels:
        header = (Column(name, justify="right") for name in ("recordings", NETWORK, TABLE))
        table = Table(Column("label", overflow="fold"), *header)
        for one in scores.labels:
            bits = fixed(one.bits_per_sample), fixed(one.table_bits_per_sample)
            table.add_row(Text(one.name or "none"), str(one.recordings), *bits)
        console.print(table)
    if scores.recognition:
        console.print(str(scores.recognition), highlight=False)
    error = percent(scores.expected_calibration_error)
    console.print(f"accuracy {percent(scores.accuracy)}, calibration error {error}", highlight=False)


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
        "receptive field": receptive_field(scores.receptive_field, rate),
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
