"""Distances of generated clips to real ones, with those of real to real clips and of noise to real clips as bounds.

Letters: N clips, T samples, D measures.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import jensenshannon
from scipy.stats import wasserstein_distance

from sequnet_pl.audio import mulaw
from sequnet_pl.errors import UsageError
from sequnet_pl.evaluate.features import MELS, SCALARS, SHORTEST, Features, Measure, features
from sequnet_pl.report.clip import SILENT_BELOW

Array = NDArray[np.float64]

SETS = ("generated", "real", "noise")
"""Sets of clips that are compared with the reference recordings."""
LEAST_CLIPS = 4
"""Smallest number of clips; fewer give no estimate of their spread."""
RESAMPLES = 200


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
        "Jensen-Shannon divergence of the frequencies of the 256 codes, at most 1. It ignores the order of the codes: "
        "noise of the right level has nearly the right histogram.",
    ),
    Measure(
        "long_term_spectrum",
        "long-term spectrum",
        "dB",
        "Root mean square difference of mean mel spectra, scaled to the same level.",
    ),
    *SCALARS,
)


@dataclass(frozen=True)
class Estimate:
    """A distance and its standard error by bootstrap over clips; both NaN if it could not be measured."""

    value: float
    error: float


@dataclass(frozen=True)
class Result:
    """One measure of each of SETS."""

    measure: Measure
    distance: dict[str, Estimate]
    mean: dict[str, float]  # of a scalar feature in its own unit; `real` is all real clips; empty for other measures
    missing: dict[str, int]  # clips without that feature (silence has no spectral centroid), as in `mean`

    @property
    def unit(self) -> str:
        """Unit of the distances."""
        return SD if self.measure.least else self.measure.unit


@dataclass(frozen=True, eq=False)
class Comparison:
    """Result of `compare`."""

    clips: int  # in each set
    samples: int  # of each clip
    rate: int  # Hz
    results: dict[str, Result]  # by key of the measure, in the order of MEASURES
    features: dict[str, Features]  # of each of SETS and of `reference`, for charts
    silent: dict[str, float]  # share of clips below SILENT_BELOW dBFS, by set; `real` is all real clips


def compare(
    generated: ArrayLike, real: ArrayLike, rate: int, *, seed: int = 0, resamples: int = RESAMPLES
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
    every = features(mulaw.encode(np.concatenate([other, reference])), rate)
    found = {
        "generated": features(mulaw.encode(generated), rate),
        "real": every.take(np.arange(clips)),
        "noise": features(mulaw.encode(noise_like(other, seed)), rate),
        "reference": every.take(np.arange(clips, 2 * clips)),
    }
    whole = found | {"real": every}
    spread = _spread(every)
    estimates = {name: _estimates(found[name], found["reference"], spread, seed, resamples) for name in SETS}
    results = {}
    for index, measure in enumerate(MEASURES):
        results[measure.key] = Result(measure, {name: estimates[name][index] for name in SETS}, {}, {})
    for column, scalar in enumerate(SCALARS):
        for name in SETS:
            values = whole[name].scalars[:, column]
            known = values[np.isfinite(values)]
            results[scalar.key].mean[name] = float(known.mean()) if len(known) else float("nan")
            results[scalar.key].missing[name] = len(values) - len(known)
    level = [scalar.key for scalar in SCALARS].index("level")
    silent = {name: float((whole[name].scalars[:, level] < SILENT_BELOW).mean()) for name in SETS}
    return Comparison(clips, samples, rate, results, found, silent)


def _clips(name: str, given: ArrayLike) -> NDArray[np.floating]:
    """An array (N, T). Raises UsageError if that is not what was given."""
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
    """Raise UsageError if clips of this length are too short to measure."""
    if samples < round(SHORTEST * rate):
        raise UsageError(f"clips of {samples / rate:g} s are shorter than the longest frame, {SHORTEST} s")


def noise_like(clips: NDArray[np.floating], seed: int) -> NDArray[np.float32]:
    """White Gaussian noise (N, T), each clip with the root mean square of one of the clips (N, T)."""
    level = np.sqrt(np.square(clips, dtype=np.float64).mean(axis=1, keepdims=True))
    return (np.random.default_rng(seed).standard_normal(clips.shape) * level).astype(np.float32)


def _spread(real: Features) -> Array:
    """Standard deviation of each scalar feature of all real clips, at least `least`, (S,)."""
    found = [column[np.isfinite(column)] for column in real.scalars.T]
    deviations = [column.std() if len(column) else 0.0 for column in found]
    return np.maximum(deviations, [scalar.least for scalar in SCALARS])


def _distances(candidate: Features, reference: Features, spread: Array) -> Array:
    """Return the distances in the order of MEASURES, (D,)."""
    columns = zip(candidate.scalars.T, reference.scalars.T, spread, strict=True)
    return np.array(
        [
            frechet(*candidate.gaussian(), *reference.gaussian()),
            jensenshannon(candidate.histogram(), reference.histogram(), base=2) ** 2,
            np.std(candidate.spectrum() - reference.spectrum()),  # the root mean square at the same level
            *(normalised(values, other, scale) for values, other, scale in columns),
        ]
    )


def _estimates(candidate: Features, reference: Features, spread: Array, seed: int, resamples: int) -> list[Estimate]:
    """Return the estimates in the order of MEASURES."""
    random, clips = np.random.default_rng(seed), len(candidate.frames)
    drawn = []
    for _ in range(resamples):
        chosen = candidate.take(random.integers(clips, size=clips))
        drawn.append(_distances(chosen, reference.take(random.integers(clips, size=clips)), spread))
    # a measure that most clips lack may be missing from some resamples; from all, it has no error
    errors = np.ma.filled(np.ma.masked_invalid(drawn).std(axis=0, ddof=1), np.nan)
    values = _distances(candidate, reference, spread)
    return [Estimate(float(value), float(error)) for value, error in zip(values, errors, strict=True)]


def frechet(mean: Array, covariance: Array, other_mean: Array, other_covariance: Array) -> float:
    """Fréchet distance of two normal distributions, means (M,) and covariances (M, M); in the unit of the means.

    d² = |m1 - m2|² + tr(C1 + C2 - 2 (C1^½ C2 C1^½)^½), Dowson and Landau 1982. FID and FAD report d²; d is in dB here.
    C1^½ C2 C1^½ is symmetric, so both roots come from symmetric eigendecompositions, which stay real.
    """
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    overlap = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ other_covariance @ root), 0)).sum()
    squared = np.square(mean - other_mean).sum() + np.trace(covariance) + np.trace(other_covariance) - 2 * overlap
    return float(np.sqrt(max(squared, 0)))


def normalised(values: Array, other: Array, spread: float) -> float:
    """Wasserstein-1 distance of two samples (N,) of a scalar, divided by `spread`, usually a standard deviation.

    NaN are left out; the distance is NaN if a sample has no other values.
    """
    first, second = (sample[np.isfinite(sample)] for sample in (values, other))
    if not len(first) or not len(second):
        return float("nan")
    return float(wasserstein_distance(first, second)) / spread
