"""Distances of generated clips to real ones, with those of real to real clips and of noise to real clips as bounds.

Letters: N clips, T samples, D measures.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sequnet_pl.audio import mulaw
from sequnet_pl.errors import UsageError
from sequnet_pl.evaluate import distances
from sequnet_pl.evaluate.features import MELS, SCALARS, SHORTEST, Features, features
from sequnet_pl.report.clip import SILENT_BELOW

SETS = ("generated", "real", "noise")
"""Sets of clips that are compared with the reference recordings."""
LEAST_CLIPS = 4
"""Smallest number of clips; fewer give no estimate of their spread."""
RESAMPLES = 200


@dataclass(frozen=True)
class Measure:
    """A distance between two sets of clips; 0 means identical.

    Attributes:
        key: its name in files.
        name: for people.
        unit: of the distance.
        meaning: one line.
    """

    key: str
    name: str
    unit: str
    meaning: str


SD = "SD"
"""Unit of the distances of scalar features: standard deviations of the real clips."""
MEASURES = (
    Measure(
        "log_mel_frechet",
        "log-mel Fréchet distance",
        "dB",
        f"Of two normal distributions with the mean and covariance of {MELS} log-mel bands, frame by frame.",
    ),
    Measure(
        "code_divergence",
        "code histograms",
        "bits",
        "Jensen-Shannon divergence of how often each of the 256 codes occurs, at most 1. It ignores the order of "
        "the codes: noise of the right level has nearly the right histogram.",
    ),
    Measure(
        "long_term_spectrum",
        "long-term spectrum",
        "dB",
        "Root mean square difference of mean mel spectra, brought to the same level.",
    ),
    *(Measure(scalar.key, scalar.name, SD, scalar.meaning) for scalar in SCALARS),
)


@dataclass(frozen=True)
class Estimate:
    """A distance and its standard error by bootstrap over clips; both NaN if it could not be measured."""

    value: float
    error: float


@dataclass(frozen=True)
class Result:
    """One measure of each of SETS.

    Attributes:
        measure: The measure.
        distance: By set.
        mean: The mean of a scalar feature in its own unit, by set; `real` is all real clips. Empty for other measures.
        missing: Clips without that feature (silence has no spectral centroid), by set as in `mean`.
    """

    measure: Measure
    distance: dict[str, Estimate]
    mean: dict[str, float]
    missing: dict[str, int]


@dataclass(frozen=True, eq=False)
class Comparison:
    """Result of `compare`.

    Attributes:
        clips: In each set.
        samples: Of each clip.
        rate: Hz.
        results: By key of the measure, in the order of MEASURES.
        features: Of each of SETS and of `reference`, for charts.
        silent: Share of clips below SILENT_BELOW dBFS, by set; `real` is all real clips.
    """

    clips: int
    samples: int
    rate: int
    results: dict[str, Result]
    features: dict[str, Features]
    silent: dict[str, float]


def compare(
    generated: ArrayLike,
    real: ArrayLike,
    rate: int,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Comparison:
    """Compare generated clips with real ones.

    Every other real clip is the reference. Three sets of the same size are compared with it: `generated`; `real`, the
    other half of the real clips, which has the distance of a perfect network; and `noise`, white noise at the level of
    each of those. Few clips have too large distances, in all three sets, so compare only equal numbers of clips.
    All sound is converted to 8-bit mu-law first, the format of the networks.

    Args:
        generated: (N, T) samples in [-1, 1], an array or a list of N clips.
        real: (2N, T) likewise; in the order of the recordings, so that both halves cover all of them.
        rate: Samples a second.
        seed: Of the noise and of the bootstrap.
        resamples: Of the bootstrap: how often the clips of both sets are resampled with replacement. The error is the
            standard deviation, not percentiles, since a set with duplicates is further from any other.

    Raises:
        UsageError: The numbers or lengths of clips do not fit, or are too small.
    """
    generated, real = _clips("generated", generated), _clips("real", real)
    clips, samples = generated.shape
    if real.shape != (2 * clips, samples):
        raise UsageError(f"{clips} clips of {samples} samples need as long real ones, twice as many, not {real.shape}")
    if clips < LEAST_CLIPS:
        raise UsageError(f"{clips} clips are too few to compare; take {LEAST_CLIPS} or more")
    check_length(samples, rate)
    if resamples < 2:
        raise UsageError(f"resamples is {resamples}, but must be 2 or more")
    reference, other = real[::2], real[1::2]
    sources = {"generated": generated, "real": other, "noise": noise_like(other, seed), "reference": reference}
    measured = {name: features(mulaw.encode(source), rate) for name, source in sources.items()}
    all_real = measured["real"].joined(measured["reference"])
    spread = _spread(all_real)
    distance = {name: _distances(measured[name], measured["reference"], spread) for name in SETS}
    error = {name: _errors(measured[name], measured["reference"], spread, seed, resamples) for name in SETS}
    columns = {
        scalar.key: {name: (all_real if name == "real" else measured[name]).scalars[:, column] for name in SETS}
        for column, scalar in enumerate(SCALARS)
    }
    results = {}
    for index, measure in enumerate(MEASURES):
        estimates = {name: Estimate(float(distance[name][index]), float(error[name][index])) for name in SETS}
        finite = {name: values[np.isfinite(values)] for name, values in columns.get(measure.key, {}).items()}
        mean = {name: float(values.mean()) if len(values) else float("nan") for name, values in finite.items()}
        missing = {name: len(columns[measure.key][name]) - len(values) for name, values in finite.items()}
        results[measure.key] = Result(measure, estimates, mean, missing)
    silent = {name: float((level < SILENT_BELOW).mean()) for name, level in columns["level"].items()}
    return Comparison(clips, samples, rate, results, measured, silent)


def _clips(name: str, given: ArrayLike) -> NDArray[np.floating]:
    """An array (N, T). UsageError where that is not what was given."""
    try:
        clips = np.asarray(given)
    except ValueError as error:
        raise UsageError(f"the {name} clips have different lengths; cut all to the shortest") from error
    if clips.ndim != 2 or not np.issubdtype(clips.dtype, np.floating):
        raise UsageError(
            f"{name}: an array or list of clips of samples in [-1, 1], (clips, samples), is needed, not {clips.dtype} "
            f"of shape {clips.shape}"
        )
    return clips


def check_length(samples: int, rate: int) -> None:
    """UsageError for clips of so many samples where they are too short to measure."""
    if samples < round(SHORTEST * rate):
        raise UsageError(f"clips of {samples / rate:g} s are shorter than the longest frame, {SHORTEST} s")


def noise_like(clips: NDArray[np.floating], seed: int) -> NDArray[np.float32]:
    """White Gaussian noise (N, T), each clip with the root mean square of one of the clips (N, T)."""
    level = np.sqrt(np.square(clips, dtype=np.float64).mean(axis=1, keepdims=True))
    return (np.random.default_rng(seed).standard_normal(clips.shape) * level).astype(np.float32)


def _spread(real: Features) -> NDArray[np.float64]:
    """Standard deviation of each scalar feature of all real clips, or the least that is told apart, (S,)."""
    found = [column[np.isfinite(column)] for column in real.scalars.T]
    deviations = [column.std() if len(column) else 0.0 for column in found]
    return np.maximum(deviations, [scalar.least for scalar in SCALARS])


def _distances(candidate: Features, reference: Features, spread: NDArray[np.float64]) -> NDArray[np.float64]:
    """In the order of MEASURES, (D,)."""
    columns = zip(candidate.scalars.T, reference.scalars.T, spread, strict=True)
    return np.array(
        [
            distances.frechet(*candidate.gaussian(), *reference.gaussian()),
            distances.jensen_shannon(candidate.histogram(), reference.histogram()),
            distances.spectrum_difference(candidate.spectrum(), reference.spectrum()),
            *(distances.normalised(values, other, scale) for values, other, scale in columns),
        ]
    )


def _errors(
    candidate: Features, reference: Features, spread: NDArray[np.float64], seed: int, resamples: int
) -> NDArray[np.float64]:
    """Standard errors in the order of MEASURES, (D,)."""
    random, clips = np.random.default_rng(seed), len(candidate.frames)
    drawn = [
        _distances(
            candidate.take(random.integers(clips, size=clips)),
            reference.take(random.integers(clips, size=clips)),
            spread,
        )
        for _ in range(resamples)
    ]
    # a measure that most clips lack may be missing from some resamples; from all, it has no error
    found = np.ma.masked_invalid(drawn)
    return np.ma.filled(found.std(axis=0, ddof=1), np.nan)
