"""Scores of a test, overall and in parts, with baselines; and their tables on a terminal."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

NETWORK = "this network"
"""Key of the network among the bits per sample."""
TABLE = "trigram baseline"
"""Heading of the bits per sample of the trigram baseline."""

_SHOWN = 3  # recordings at either end


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

    @property
    def ranked(self) -> list[RecordingScore]:
        """The recordings that have a score, the most bits per sample first."""
        scored = [one for one in self.recordings if one.bits_per_sample is not None]
        return sorted(scored, key=lambda one: one.bits_per_sample or 0.0, reverse=True)

    def ends(self, count: int) -> tuple[list[RecordingScore], list[RecordingScore]]:
        """The worst and the best recordings, `count` of each; all as the worst if there are no more."""
        ranked = self.ranked
        return (ranked[:count], ranked[-count:]) if len(ranked) > 2 * count else (ranked, [])


def bits(value: float | None) -> str:
    """Format bits per sample; "–" for None."""
    return "–" if value is None else f"{value:.3f}"


def percent(share: float | None) -> str:
    """Format a share in percent; "–" for None."""
    return "–" if share is None else f"{100 * share:.2f} %"


def print_scores(console: Console, scores: Scores) -> None:
    """Print bits per sample with baselines, the worst and the best recordings, accuracy and calibration error."""
    table = Table("", Column("bits per sample", justify="right"))
    for name, value in scores.bits_per_sample.items():
        table.add_row(name, bits(value))
    console.print(table)
    worst, best = scores.ends(_SHOWN)
    header = (Column(name, justify="right") for name in ("seconds", NETWORK, TABLE))
    table = Table(Column("recording", overflow="fold"), *header)
    for group in (worst, best):
        for one in group:
            seconds = f"{one.samples / scores.sample_rate:.2f}"
            table.add_row(Text(one.name), seconds, bits(one.bits_per_sample), bits(one.table_bits_per_sample))
        table.add_section()
    console.print(table)
    error = percent(scores.expected_calibration_error)
    console.print(f"accuracy {percent(scores.accuracy)}, calibration error {error}", highlight=False)
