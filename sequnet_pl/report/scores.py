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

from sequnet_pl.report.charts import COLOURS, GREY, Chart, chart, series
from sequnet_pl.report.page import fixed, percent, receptive_field, write_page
from sequnet_pl.report.run_folder import run_pages, run_title

NETWORK = "this network"
"""Key of the network among the bits per sample."""
TABLE = "trigram baseline"
"""Heading of the bits per sample of the trigram baseline."""

_SHOWN = 50  # recordings at either end
_DOTS = 1000  # more cannot be distinguished
_PRINTED = 3  # recordings at either end, on a terminal


@dataclass(frozen=True, kw_only=True)
class Score:
    """Predictions of some samples; scores are None if nothing was predicted or they are not finite."""

    samples: int
    bits_per_sample: float | None  # of the network
    table_bits_per_sample: float | None  # of the trigram baseline, for the same samples

    @property
    def cells(self) -> tuple[str, str]:
        """Both scores as text."""
        return fixed(self.bits_per_sample), fixed(self.table_bits_per_sample)


@dataclass(frozen=True, kw_only=True)
class RecordingScore(Score):
    """Predictions of one recording; the name is its path below the folder that holds all recordings."""

    name: str


@dataclass(frozen=True, kw_only=True)
class LabelScore(Score):
    """Predictions of the recordings of one label; the name is empty for those without a label."""

    name: str
    recordings: int


@dataclass(frozen=True, kw_only=True)
class DistanceScore(Score):
    """Predictions of samples `start` to `end` (exclusive; None: to the end) of all recordings."""

    start: int
    end: int | None


@dataclass(frozen=True, kw_only=True)
class ConfidenceScore:
    """Predictions whose likeliest code has a probability of `start` to `end`; None without samples."""

    start: float
    end: float
    samples: int
    confidence: float | None  # mean probability of the likeliest code
    accuracy: float | None  # share of samples for which it is right


@dataclass(frozen=True, kw_only=True)
class Recognition:
    """Share of recordings that take the fewest bits with their own label."""

    recordings: int  # those that were scored with each label
    labels: int
    accuracy: float  # share of these recordings
    bits_per_sample: float  # of these recordings with their labels
    unlabelled_bits_per_sample: float  # of these recordings with no label

    def __str__(self) -> str:
        return (
            f"of {self.labels} labels the right one takes the fewest bits for {percent(self.accuracy)} of "
            f"{self.recordings} recordings (chance {percent(1 / self.labels)}); {fixed(self.bits_per_sample)} bits per "
            f"sample with the right label, {fixed(self.unlabelled_bits_per_sample)} with none"
        )


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Scores of a test; `test.json` has all of them under the same names."""

    network: str  # its name, such as sequnet
    checkpoint: str | None  # the tested file, if there is one
    step: int | None  # of training, if the checkpoint has it
    store: str  # folder of the codes
    fingerprint: str  # of the data
    sample_rate: int  # Hz
    receptive_field: int | None  # samples; None where it is unbounded
    samples: int  # predictions, all of the test split
    bits_per_sample: dict[str, float | None]  # of the uniform and the n-gram baselines, and of NETWORK; by name
    accuracy: float | None  # share of samples for which the likeliest code is right
    expected_calibration_error: float | None
    """Mean of |accuracy - confidence| over `calibration`, weighted by samples (Guo et al. 2017,
    https://arxiv.org/abs/1706.04599), of the likeliest code."""
    table_samples: int  # codes that the n-gram baselines were counted on, at most
    recordings: Sequence[RecordingScore]  # in the order of the split
    distances: Sequence[DistanceScore]  # by distance from the start of the recording, the nearest first
    calibration: Sequence[ConfidenceScore]  # by confidence, the lowest first
    labels: Sequence[LabelScore] = ()  # of a network with labels, in their order
    recognition: Recognition | None = None  # of a network with labels

    @property
    def ranked(self) -> list[RecordingScore]:
        """The recordings that have a score, the most bits per sample first."""
        scored = [one for one in self.recordings if one.bits_per_sample is not None]
        return sorted(scored, key=lambda one: one.bits_per_sample or 0.0, reverse=True)

    def ends(self, count: int) -> list[tuple[str, ...]]:
        """Rows of a table under HEAD: the worst and the best recordings, `count` of each, or all."""
        ranked = self.ranked
        chosen = ranked[:count] + ranked[max(count, len(ranked) - count) :]
        return [(one.name, fixed(one.samples / self.sample_rate, 2), *one.cells) for one in chosen]

    @property
    def bits_rows(self) -> list[tuple[str, str]]:
        """Rows of a table under BITS_HEAD."""
        return [(name, fixed(value)) for name, value in self.bits_per_sample.items()]

    @property
    def label_rows(self) -> list[tuple[str, ...]]:
        """Rows of a table under LABEL_HEAD."""
        return [(one.name or "no label", str(one.recordings), *one.cells) for one in self.labels]


BITS_HEAD = ("", "bits per sample")
HEAD = ("recording", "seconds", NETWORK, TABLE)
LABEL_HEAD = ("label", "recordings", NETWORK, TABLE)


def print_scores(console: Console, scores: Scores) -> None:
    """Print bits per sample with baselines, the worst and the best recordings, accuracy and calibration error."""
    console.print(text_table(BITS_HEAD, scores.bits_rows), text_table(HEAD, scores.ends(_PRINTED)))
    if scores.labels:
        console.print(text_table(LABEL_HEAD, scores.label_rows))
    if scores.recognition:
        console.print(str(scores.recognition), highlight=False)
    error = percent(scores.expected_calibration_error)
    console.print(f"accuracy {percent(scores.accuracy)}, calibration error {error}", highlight=False)


def text_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """A table for the terminal: names, and figures to the right of them."""
    table = Table(Column(head[0], overflow="fold"), *(Column(name, justify="right") for name in head[1:]))
    for name, *figures in rows:
        table.add_row(Text(name), *figures)
    return table


def write_score_page(path: Path, scores: Scores) -> None:
    """Write the page to `path`. Raises UserError if it cannot be written."""
    rate = scores.sample_rate
    facts = {
        "accuracy": percent(scores.accuracy),
        "calibration error": percent(scores.expected_calibration_error),
        "checkpoint": scores.checkpoint or "–",
        "step": fixed(scores.step, 0),
        "receptive field": receptive_field(scores.receptive_field, rate),
        "recordings": f"{len(scores.recordings):,}, {scores.samples / rate / 3600:.3f} hours at {rate} Hz",
        "data": f"{scores.store}, {scores.fingerprint}",
    }
    write_page(
        path,
        "test.html",
        run_title(path.parent, "test"),
        run_pages(path.parent),
        test_facts=facts,
        scores=scores,
        bits_head=BITS_HEAD,
        label_head=LABEL_HEAD,
        head=HEAD,
        shown=_SHOWN,
        distance=_distance_chart(scores),
        recordings=_recordings_chart(scores),
        calibration=_calibration_chart(scores),
    )


def _distance_chart(scores: Scores) -> Chart:
    edges = np.array([one.start for one in scores.distances] + [0], float)
    edges[0] = edges[1] / 2 or 1  # there is no zero on a logarithmic axis
    edges[-1] = max(2 * edges[-2], *(one.samples for one in scores.recordings))
    seconds, bits = edges / scores.sample_rate, _bits(scores.distances)
    network, table = np.append(bits, bits[:, -1:], axis=1)  # a step reaches to the next edge
    drawn = [series(TABLE, (seconds, table), GREY, "steps"), series(NETWORK, (seconds, network), COLOURS[0], "steps")]
    field = (scores.receptive_field or math.inf) / scores.sample_rate
    if seconds[0] < field < seconds[-1] and np.isfinite(bits).any():
        ends = [np.nanmin(bits), np.nanmax(bits)]
        drawn.append(series(f"receptive field, {field:.3g} s", ([field, field], ends), COLOURS[1], "reference"))
    title = "bits per sample by distance from the start"
    return chart(title, "seconds from the start of the recording", drawn, log_x=True)


def _recordings_chart(scores: Scores) -> Chart:
    ranked = scores.ranked[::-1]
    ranks = np.unique(np.linspace(0, len(ranked) - 1, min(_DOTS, len(ranked))).astype(int))
    network, table = _bits([ranked[rank] for rank in ranks])
    drawn = [series(TABLE, (ranks + 1, table), GREY, "dots"), series(NETWORK, (ranks + 1, network), COLOURS[0], "dots")]
    if (mean := scores.bits_per_sample[NETWORK]) is not None:
        drawn.append(series(f"all samples, {mean:.3f}", ([1, len(ranked)], [mean, mean]), COLOURS[0], "reference"))
    return chart("bits per sample of each recording", "recordings, the best first", drawn)


def _calibration_chart(scores: Scores) -> Chart:
    """Reliability diagram: accuracy of the likeliest code by its probability."""
    bins = scores.calibration
    shares = [(one.start, one.samples / max(1, scores.samples)) for one in bins]
    shares += [(1.0, share) for _, share in shares[-1:]]  # a step reaches to the next edge
    accuracy = np.array([(one.confidence, one.accuracy) for one in bins if one.samples], float).reshape(-1, 2)
    drawn = [
        series("share of all samples", np.array(shares).reshape(-1, 2).T, GREY, "area"),
        series("perfect calibration", ([0, 1], [0, 1]), GREY, "reference"),
        series("accuracy of the network", accuracy.T, COLOURS[0]),
    ]
    return chart("calibration", "confidence: probability of the likeliest code", drawn, min=0, max=1)


def _bits(bins: Sequence[Score]) -> NDArray[np.float64]:
    """Bits per sample of the network and of the baseline, (2, N); NaN for a missing score."""
    return np.array([(one.bits_per_sample, one.table_bits_per_sample) for one in bins], float).reshape(-1, 2).T
