"""Distances against their closed forms."""

import numpy as np
import pytest

from sequnet_pl.evaluate import comparison as distances


def test_frechet_of_commuting_covariances_is_that_of_their_axes() -> None:
    random = np.random.default_rng(0)
    axes, _ = np.linalg.qr(random.standard_normal((5, 5)))
    mean, other_mean, deviations, other_deviations = random.uniform(1, 9, (4, 5))
    covariance = axes * deviations**2 @ axes.T
    other = axes * other_deviations**2 @ axes.T
    expected = np.sqrt(np.sum((mean - other_mean) ** 2) + np.sum((deviations - other_deviations) ** 2))
    assert distances.frechet(mean, covariance, other_mean, other) == pytest.approx(expected)
    assert distances.frechet(other_mean, other, mean, covariance) == pytest.approx(expected)


def test_frechet_of_two_dimensions_that_do_not_commute() -> None:
    # the trace of the square root of a 2 x 2 matrix M is sqrt(tr M + 2 sqrt(det M))
    one, other = np.array([[2.0, 1.0], [1.0, 3.0]]), np.array([[5.0, -2.0], [-2.0, 1.0]])
    overlap = np.sqrt(np.trace(one @ other) + 2 * np.sqrt(np.linalg.det(one @ other)))
    expected = np.sqrt(9 + 16 + np.trace(one) + np.trace(other) - 2 * overlap)
    assert distances.frechet(np.zeros(2), one, np.array([3.0, -4.0]), other) == pytest.approx(expected)


@pytest.mark.parametrize("rank", [0, 1, 3])
def test_frechet_of_singular_covariances_is_finite(rank: int) -> None:
    factor = np.random.default_rng(0).standard_normal((5, rank))
    covariance = factor @ factor.T
    assert distances.frechet(np.zeros(5), covariance, np.zeros(5), covariance) == pytest.approx(0, abs=1e-6)
    assert distances.frechet(np.zeros(5), covariance, np.zeros(5), 4 * covariance) == pytest.approx(
        np.sqrt(np.trace(covariance)), abs=1e-6
    )


def test_wasserstein_of_shifted_unequal_and_missing_values() -> None:
    values = np.random.default_rng(0).standard_normal(50)
    assert distances.normalised(values, values + 3, 2) == pytest.approx(1.5)
    assert distances.normalised(values, np.repeat(values, 3), 1) == pytest.approx(0)
    missing = np.array([1.0, np.nan, 3.0])
    assert distances.normalised(missing, np.array([1.0, 3.0]), 1) == 0
    assert np.isnan(distances.normalised(missing, np.full(3, np.nan), 1))


def test_spectra_are_compared_at_one_level_and_histograms_in_bits() -> None:
    """Clips of one constant code each: their histograms are disjoint, and louder clips have the same spectrum."""
    noise = np.random.default_rng(0).normal(0, 0.02, (12, 4096))
    found = distances.compare(4 * noise[:4], noise[4:], 8000, resamples=2).results
    assert found["long_term_spectrum"].distance["generated"].value < 0.5
    constant = np.where(np.arange(8) % 2, 0.9, -0.9)[:, None] * np.ones((8, 4096))
    found = distances.compare(constant[1::2], constant, 8000, resamples=2).results
    assert found["code_divergence"].distance["generated"].value == pytest.approx(1)
