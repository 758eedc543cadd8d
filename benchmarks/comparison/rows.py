"""The comparison as a table: what was measured of both networks, their ratio, and what the paper claims of it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmarks.comparison.results import Found
from benchmarks.comparison.speeds import CLIPS
from sequnet_pl.models import registry

NETWORKS = ("sequnet", "wavenet")
NAMES = {name: registry.title(name) for name in NETWORKS}
HEADER = ("", "Seq-U-Net", "WaveNet", "ratio", "claim")
CLAIM = (
    "The claims are those of Stoller, Tian, Ewert and Dixon 2020 (https://arxiv.org/abs/1911.06393) for the published "
    "networks on a GPU: over 4 times faster in training and in sampling, less memory, as good in bits per sample."
)


@dataclass(frozen=True)
class Row:
    """One line.

    Attributes:
        name: What was measured, and its unit.
        sequnet, wavenet: The numbers as text.
        ratio: Seq-U-Net : WaveNet; None where it would mean nothing.
        claim: What the paper claims of the ratio.
    """

    name: str
    sequnet: str
    wavenet: str
    ratio: float | None = None
    claim: str = ""

    @property
    def cells(self) -> tuple[str, ...]:
        """Under HEADER."""
        ratio = "–" if self.ratio is None else f"{self.ratio:.2f}"
        return self.name, self.sequnet, self.wavenet, ratio, self.claim or "–"


def rows(found: dict[str, Found]) -> Iterator[Row]:
    """All lines, from the results of all stages by name."""

    def of(stage: str, *keys: str) -> list[float]:
        values = []
        for network in NETWORKS:
            value = found[f"{stage} {network}"]
            for key in keys:
                value = value[key]
            values.append(value)
        return values

    yield _row("bits per sample, test", of("test", "bits_per_sample"), _fixed(3), "about 1: as good")
    yield _row("bits per sample, train", of("score training", "bits_per_sample"), _fixed(3))
    yield _row("accuracy, test", of("test", "accuracy"), _percent)
    yield _row("accuracy, train", of("score training", "accuracy"), _percent)
    generated = of("evaluate", "log_mel_frechet", "generated", "value")
    errors = of("evaluate", "log_mel_frechet", "generated", "error")
    one, other = (f"{value:.1f} ± {error:.1f}" for value, error in zip(generated, errors, strict=True))
    yield Row("sound: log-mel Fréchet distance to recordings, dB", one, other, generated[0] / generated[1])
    for name, text in (("real", "the same of other recordings"), ("noise", "the same of white noise")):
        one, other = (f"{value:.1f}" for value in of("evaluate", "log_mel_frechet", name, "value"))
        yield Row(text, one, other)
    yield _row("parameters", of("train", "parameters"), _count)
    fields = of("train", "receptive_field")
    yield _row("receptive field, samples", fields, _count)
    rates = of("train", "data", "sample_rate")
    yield _row("receptive field, ms", [1e3 * f / r for f, r in zip(fields, rates, strict=True)], _fixed(0))
    training, sampling = found["training speed"], found["sampling speed"]
    yield _row("training: seconds a step", training["seconds"], _digits, "below 0.25: over 4 times faster")
    yield _row("training: peak memory, MB", training["megabytes"], _count, "below 1: less")
    for clips in CLIPS:
        name = f"sampling: steps a second, {clips} clip{'s' * (clips > 1)}"
        yield _row(name, sampling[str(clips)], _count, "above 4: over 4 times faster")


def advantages(found: dict[str, Found]) -> Iterator[tuple[str, float, float]]:
    """What is claimed, how many times better the Seq-U-Net is in it, and how many times at least by the claim."""
    bits = [found[f"test {network}"]["bits_per_sample"] for network in NETWORKS]
    yield "bits per sample, test", bits[1] / bits[0], 1.0
    training, sampling = found["training speed"], found["sampling speed"]
    yield "memory of training", training["megabytes"][1] / training["megabytes"][0], 1.0
    yield "speed of training", training["seconds"][1] / training["seconds"][0], 4.0
    for clips in CLIPS:
        ours, theirs = sampling[str(clips)]
        yield f"speed of sampling, {clips} clip{'s' * (clips > 1)}", ours / theirs, 4.0


def _row(name: str, values: list[float], text: Callable[[float], str], claim: str = "") -> Row:
    one, other = values
    return Row(name, text(one), text(other), one / other, claim)


def _fixed(digits: int) -> Callable[[float], str]:
    return lambda value: f"{value:.{digits}f}"


def _percent(value: float) -> str:
    return f"{100 * value:.2f} %"


def _count(value: float) -> str:
    return f"{value:,.0f}"


def _digits(value: float) -> str:
    return f"{value:.3g}"
