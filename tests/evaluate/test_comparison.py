"""What is far from real clips, what is near, what cannot be compared, and distances against their closed forms."""

import json

import numpy as np
import pytest
from numpy.typing import NDArray

from sequnet_pl.data.builtin import synth
from sequnet_pl.data.builtin.pieces import PIECES
from sequnet_pl.errors import UsageError
from sequnet_pl.evaluate import compare
from sequnet_pl.evaluate.comparison import MEASURES, SETS, Comparison, _estimates, frechet, noise_like, normalised
from sequnet_pl.evaluate.features import SCALARS, Features
from sequnet_pl.evaluate.results import distances, dump, means

RATE = 8000
LENGTH = RATE // 2


@pytest.fixture(scope="module")
def piano() -> NDArray[np.float32]:
    """Clips of the built-in piano, an even number of them."""
    sound = synth.record(PIECES[0], "test", RATE)[: 32 * LENGTH]
    count = len(sound) // (2 * LENGTH) * 2
    return sound[: count * LENGTH].reshape(count, LENGTH)


@pytest.fixture(scope="module")
def noisy(piano: NDArray[np.float32]) -> Comparison:
    """The piano with a little noise, against itself."""
    hiss = 0.3 * noise_like(piano[1::2], seed=5)
    return compare(piano[1::2] + hiss, piano, RATE, seed=1, resamples=10)


def test_the_same_clips_are_not_apart(piano: NDArray[np.float32]) -> None:
    found = compare(piano, np.repeat(piano, 2, axis=0), RATE, resamples=2)
    assert [result.measure.key for result in found.results.values()] == [measure.key for measure in MEASURES]
    for result in found.results.values():
        for name in ("generated", "real"):
            assert result.distance[name].value == pytest.approx(0, abs=1e-5), result.measure.name


@pytest.mark.parametrize(
    "key", ["log_mel_frechet", "long_term_spectrum", "spectral_centroid", "spectral_flatness", "spectral_rolloff"]
)
def test_noise_is_further_than_a_noisy_piano_and_that_further_than_the_piano(noisy: Comparison, key: str) -> None:
    generated, real, noise = (noisy.results[key].distance[name].value for name in SETS)
    assert 0 < 1.5 * real < generated < noise / 1.2


def test_means_are_those_of_the_clips(noisy: Comparison, piano: NDArray[np.float32]) -> None:
    result = noisy.results["level"]
    levels = 10 * np.log10(np.mean(np.square(piano, dtype=np.float64), axis=1))
    assert result.mean["real"] == pytest.approx(levels.mean(), abs=0.05)
    assert result.mean["noise"] == pytest.approx(levels[1::2].mean(), abs=0.1)
    assert result.mean["generated"] > result.mean["noise"]
    assert not noisy.results["code_divergence"].mean


def test_the_seed_decides_all(noisy: Comparison, piano: NDArray[np.float32]) -> None:
    generated = piano[1::2] + 0.3 * noise_like(piano[1::2], seed=5)
    again, other = (compare(generated, piano, RATE, seed=seed, resamples=10) for seed in (1, 2))
    assert again.results == noisy.results
    for key, result in other.results.items():
        assert result.distance["generated"].value == noisy.results[key].distance["generated"].value
    errors = [found.results["level"].distance["generated"].error for found in (noisy, other)]
    assert errors[0] != errors[1]


def test_errors_are_those_of_sampling() -> None:
    # the distance of two samples that do not overlap is the difference of their means
    clips, random = 100, np.random.default_rng(0)

    def made(shift: float) -> Features:
        ones = np.ones((clips, 256))
        rows = random.standard_normal((clips, len(SCALARS))) + shift
        zeros = np.zeros((clips, 40))
        return Features(ones, ones[:, :40], np.ones(clips), zeros, np.zeros((clips, 40, 40)), rows)

    estimates = _estimates(made(0), made(20), np.ones(len(SCALARS)), seed=0, resamples=200)
    errors = np.array([one.error for one in estimates])
    assert errors[3:] == pytest.approx(np.sqrt(2 / clips), rel=0.3)
    assert errors[:3] == pytest.approx(0, abs=1e-6)


def test_silent_clips_are_missing() -> None:
    clips = np.zeros((8, LENGTH))
    half = clips + np.where(np.arange(8) % 4 < 2, 1, 0)[:, None] * np.random.default_rng(0).normal(0, 0.1, clips.shape)
    found = compare(clips[:4], half, RATE, resamples=20)
    assert found.results["spectral_centroid"].missing == {"generated": 4, "real": 4, "noise": 2}
    assert found.silent == {"generated": 1.0, "real": 0.5, "noise": 0.5}
    (row,) = (cells for cells in distances(found) if cells[0] == "spectral centroid, SD")
    assert row[1] == "–" != row[2]
    assert means(found)[0][1] == "– (4 without)"
    assert json.loads(dump(found, {}))["silent_clips"] == found.silent
    values = json.loads(dump(found, {}))["measures"]
    assert values["spectral_centroid"]["distance"]["generated"] == {"value": None, "error": None}
    for key, result in values.items():
        if key not in ("spectral_centroid", "spectral_flatness", "spectral_rolloff", "chroma_entropy"):
            assert None not in [*result["distance"]["generated"].values(), *result.get("mean", {}).values()], key
    silence = compare(clips[:4], clips, RATE, resamples=2)
    assert silence.results["log_mel_frechet"].distance["generated"].value == pytest.approx(0, abs=1e-5)
    assert "NaN" not in dump(silence, {})


def test_noise_has_the_level_of_each_clip() -> None:
    clips = np.random.default_rng(0).uniform(-1, 1, (3, 20_000)) * np.array([[0.01], [0.1], [0.9]])
    noise = noise_like(clips, seed=0)
    assert noise.std(axis=1) == pytest.approx(clips.std(axis=1), rel=0.02)
    assert not np.array_equal(noise, noise_like(clips, seed=1))


@pytest.mark.parametrize(
    ("generated", "real", "resamples", "message"),
    [
        ((3, LENGTH), (6, LENGTH), 2, "3 clips are too few"),
        ((4, LENGTH), (4, LENGTH), 2, "twice as many"),
        ((4, LENGTH), (8, LENGTH + 1), 2, "twice as many"),
        ((4, 2047), (8, 2047), 2, "shorter than the longest frame"),
        ((4, LENGTH), (8, LENGTH), 1, "resamples is 1"),
    ],
)
def test_usage(generated: tuple[int, int], real: tuple[int, int], resamples: int, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        compare(np.zeros(generated), np.zeros(real), RATE, resamples=resamples)


def test_lists_of_clips_are_compared_too() -> None:
    random = np.random.default_rng(0)
    generated, real = (list(0.1 * random.standard_normal((count, LENGTH))) for count in (4, 8))
    found = compare(generated, real, RATE, resamples=2)
    assert found.results == compare(np.array(generated), np.array(real), RATE, resamples=2).results
    with pytest.raises(UsageError, match="the generated clips have different lengths"):
        compare([*generated[:3], generated[3][:-1]], real, RATE)
    for given in (generated[0], np.zeros((4, LENGTH), np.int16), [generated, generated], ["a"]):
        with pytest.raises(UsageError, match="real: an array or list of clips of samples"):
            compare(generated, given, RATE)


def test_frechet_of_two_dimensions_that_do_not_commute() -> None:
    # the trace of the square root of a 2 x 2 matrix M is sqrt(tr M + 2 sqrt(det M))
    one, other = np.array([[2.0, 1.0], [1.0, 3.0]]), np.array([[5.0, -2.0], [-2.0, 1.0]])
    overlap = np.sqrt(np.trace(one @ other) + 2 * np.sqrt(np.linalg.det(one @ other)))
    expected = np.sqrt(9 + 16 + np.trace(one) + np.trace(other) - 2 * overlap)
    assert frechet(np.zeros(2), one, np.array([3.0, -4.0]), other) == pytest.approx(expected)


@pytest.mark.parametrize("rank", [0, 1, 3])
def test_frechet_of_singular_covariances_is_finite(rank: int) -> None:
    factor = np.random.default_rng(0).standard_normal((5, rank))
    covariance = factor @ factor.T
    assert frechet(np.zeros(5), covariance, np.zeros(5), covariance) == pytest.approx(0, abs=1e-6)
    assert frechet(np.zeros(5), covariance, np.zeros(5), 4 * covariance) == pytest.approx(
        np.sqrt(np.trace(covariance)), abs=1e-6
    )


def test_wasserstein_of_shifted_unequal_and_missing_values() -> None:
    values = np.random.default_rng(0).standard_normal(50)
    assert normalised(values, values + 3, 2) == pytest.approx(1.5)
    assert normalised(values, np.repeat(values, 3), 1) == pytest.approx(0)
    missing = np.array([1.0, np.nan, 3.0])
    assert normalised(missing, np.array([1.0, 3.0]), 1) == 0
    assert np.isnan(normalised(missing, np.full(3, np.nan), 1))


def test_spectra_are_compared_at_one_level_and_histograms_in_bits() -> None:
    """Clips of one constant code each: their histograms are disjoint, and louder clips have the same spectrum."""
    noise = np.random.default_rng(0).normal(0, 0.02, (12, 4096))
    found = compare(4 * noise[:4], noise[4:], 8000, resamples=2).results
    assert found["long_term_spectrum"].distance["generated"].value < 0.5
    constant = np.where(np.arange(8) % 2, 0.9, -0.9)[:, None] * np.ones((8, 4096))
    found = compare(constant[1::2], constant, 8000, resamples=2).results
    assert found["code_divergence"].distance["generated"].value == pytest.approx(1)
