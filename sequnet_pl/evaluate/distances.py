"""Distances between two sets of clips. Letters: N clips, M mel bands."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import jensenshannon
from scipy.stats import wasserstein_distance

Array = NDArray[np.float64]


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


def jensen_shannon(shares: Array, other: Array) -> float:
    """Jensen-Shannon divergence of two distributions over the same classes, in bits: 0 identical, 1 disjoint."""
    return float(jensenshannon(shares, other, base=2) ** 2)


def spectrum_difference(decibels: Array, other: Array) -> float:
    """Root mean square difference in dB of two spectra (M,), after one is shifted to the mean level of the other."""
    return float(np.std(decibels - other))


def normalised(values: Array, other: Array, spread: float) -> float:
    """Wasserstein-1 distance of two samples (N,) of a scalar, divided by `spread`, usually a standard deviation.

    NaN are left out; the distance is NaN if a sample has no other values.
    """
    first, second = (sample[np.isfinite(sample)] for sample in (values, other))
    if not len(first) or not len(second):
        return float("nan")
    return float(wasserstein_distance(first, second)) / spread
