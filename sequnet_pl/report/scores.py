"""What a test finds: how well a network predicts, in all and where, beside what tables of codes reach."""

from collections.abc import Sequence
from dataclasses import dataclass

NETWORK = "this network"
"""Its name among the bits per sample."""
TABLE = "table (two before)"
"""Heading for the bits per sample of the table of codes given the two before."""


@dataclass(frozen=True, kw_only=True)
class RecordingScore:
    """Predictions of one recording.

    Attributes:
        name: path below the folder that holds all recordings.
        samples: how many were predicted.
        bits_per_sample: what the network needs; None where nothing was predicted, or it is not finite.
        table_bits_per_sample: what the table of codes given the two before needs for the same samples.
    """

    name: str
    samples: int
    bits_per_sample: float | None
    table_bits_per_sample: float | None


@dataclass(frozen=True, kw_only=True)
class DistanceScore:
    """Predictions of samples from `start` on and before `end` (None: all that follow), from the recording's start.

    The other fields are those of a RecordingScore.
    """

    start: int
    end: int | None
    samples: int
    bits_per_sample: float | None
    table_bits_per_sample: float | None


@dataclass(frozen=True, kw_only=True)
class ConfidenceScore:
    """Targets for which the likeliest code has a probability from `start` on and below `end`.

    Attributes:
        samples: how many they are.
        confidence: mean probability of the likeliest code; None where there are none.
        accuracy: share of them that the likeliest code was right for; None where there are none.
    """

    start: float
    end: float
    samples: int
    confidence: float | None
    accuracy: float | None


@dataclass(frozen=True, kw_only=True)
class Scores:
    """What a test finds; `test.json` has all of it under the same names.

    Attributes:
        network: sequnet or wavenet.
        checkpoint: file that was tested, where there is one.
        step: steps that it has learnt for, where it says so.
        store: folder of the recordings' codes.
        fingerprint: short hash of what they hold.
        sample_rate: Hz.
        receptive_field: samples.
        samples: predicted codes, all of the test split.
        bits_per_sample: of a uniform guess, of tables of codes learnt on train, and of "this network"; by name.
        accuracy: share of the codes that the network finds likeliest.
        expected_calibration_error: mean of |accuracy - confidence| over `calibration`, weighted by samples
            (Guo et al. 2017, https://arxiv.org/abs/1706.04599), of the likeliest code.
        table_samples: codes that the tables were learnt from at most.
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
    receptive_field: int
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
        """The recordings that have a score, the one of the most bits per sample first."""
        scored = [one for one in self.recordings if one.bits_per_sample is not None]
        return sorted(scored, key=lambda one: one.bits_per_sample or 0.0, reverse=True)

    def ends(self, count: int) -> tuple[list[RecordingScore], list[RecordingScore]]:
        """The worst and the best recordings, `count` of each; all as the worst where that leaves none out."""
        ranked = self.ranked
        return (ranked[:count], ranked[-count:]) if len(ranked) > 2 * count else (ranked, [])


def bits(value: float | None) -> str:
    """Bits per sample as pages and tables show them."""
    return "–" if value is None else f"{value:.3f}"


def percent(share: float | None) -> str:
    """A share as pages and tables show it."""
    return "–" if share is None else f"{100 * share:.2f} %"
