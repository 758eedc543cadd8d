"""Features of sounds whose features are known."""

import numpy as np
import pytest
from numpy.typing import NDArray

from sequnet_pl.audio import mulaw
from sequnet_pl.evaluate.features import FLOOR, MELS, RIDGE, SCALARS, SHORTEST, features, mel_frequencies

RATE = 16_000
TIME = np.arange(2 * RATE) / RATE


def scalars(*clips: NDArray[np.floating]) -> dict[str, NDArray[np.float64]]:
    found = features(mulaw.encode(np.stack(clips)), RATE).scalars
    return {scalar.key: column for scalar, column in zip(SCALARS, found.T, strict=True)}


def tone(hertz: float, amplitude: float = 0.5) -> NDArray[np.float64]:
    return amplitude * np.sin(2 * np.pi * hertz * TIME)


def noise(deviation: float = 0.1) -> NDArray[np.float64]:
    return np.random.default_rng(0).normal(scale=deviation, size=len(TIME))


def test_a_tone_and_noise() -> None:
    found = scalars(tone(1000), noise())
    assert found["spectral_rolloff"] == pytest.approx([1000, 6800], abs=50)
    assert found["spectral_centroid"][1] == pytest.approx(4000, abs=50)
    assert 1000 < found["spectral_centroid"][0] < 2000  # the noise of mu-law lies above the tone
    # of the power of Gaussian noise, the geometric mean is exp(-0.577) of the arithmetic one
    assert found["spectral_flatness"][1] == pytest.approx(10 * np.log10(np.exp(-np.euler_gamma)), abs=0.1)
    assert found["spectral_flatness"][0] < -25
    assert found["chroma_entropy"][0] < 1.1
    assert found["chroma_entropy"][1] == pytest.approx(np.log2(12), abs=0.02)
    assert found["level"] == pytest.approx([20 * np.log10(0.5) - 3.01, -20], abs=0.2)
    assert found["loop_score"][0] > 0.99 and found["loop_score"][1] < 0.2
    assert found["clipping_share"] == pytest.approx([0, 0])


def test_onsets_are_counted_by_the_second() -> None:
    knocks = np.zeros(len(TIME))
    for start in np.arange(0.1, 2, 0.2):
        first = round(start * RATE)
        knocks[first : first + 800] = noise()[:800] * np.exp(-np.arange(800) / 200)
    assert scalars(knocks)["onset_rate"] == pytest.approx([5], abs=0.5)


def test_levels() -> None:
    step = tone(1000) * np.where(TIME < 1, 1, 0.1)
    gap = tone(1000) * (TIME < 0.5)
    square = np.sign(tone(100))
    found = scalars(step, gap, square)
    assert found["loudness_range"][0] == pytest.approx(20, abs=0.5)
    assert found["silence_share"] == pytest.approx([0, 0.75, 0], abs=0.03)
    assert found["clipping_share"][2] > 0.99


def test_silence_has_no_spectrum_but_all_the_rest() -> None:
    found = scalars(np.zeros(len(TIME)), noise(1e-5))
    missing = {key for key, values in found.items() if np.isnan(values).all()}
    assert missing == {"spectral_centroid", "spectral_flatness", "spectral_rolloff", "chroma_entropy"}
    assert all(np.isfinite(values).all() for key, values in found.items() if key not in missing)
    assert (found["silence_share"] == 1).all() and (found["onset_rate"] == 0).all()


def test_silent_frames_do_not_count_in_a_spectrum() -> None:
    found = scalars(noise(), noise() * (TIME < 1))
    for key in ("spectral_centroid", "spectral_flatness", "spectral_rolloff"):
        assert found[key][1] == pytest.approx(found[key][0], rel=0.03)


def test_sums_are_those_of_the_frames_of_all_clips() -> None:
    clips = mulaw.encode(np.stack([noise(0.1), noise(0.01), tone(500)]))
    together = features(clips, RATE)
    mean, covariance = together.gaussian()
    parts = [features(clips[i : i + 1], RATE) for i in range(3)]
    assert mean == pytest.approx(np.mean([part.gaussian()[0] for part in parts], axis=0))
    within = np.mean([part.gaussian()[1] for part in parts], axis=0)
    between = np.cov([part.gaussian()[0] for part in parts], rowvar=False, ddof=0)
    assert covariance == pytest.approx(within + between)
    twice = together.take(np.array([0, 0, 1]))
    assert twice.histogram() == pytest.approx((2 * parts[0].histogram() + parts[1].histogram()) / 3)


def test_the_spectrum_is_in_decibels_of_a_full_scale_sine() -> None:
    frequencies = mel_frequencies(RATE)
    assert len(frequencies) == MELS and (np.diff(frequencies) > 0).all()
    found = features(mulaw.encode(tone(frequencies[20], 0.1)[None]), RATE).spectrum()
    assert int(np.argmax(found)) == 20 and found[20] == pytest.approx(-20, abs=2)
    assert found.min() >= FLOOR


@pytest.mark.parametrize("rate", [4000, 22_050, 48_000])
def test_the_shortest_clip_at_any_rate(rate: int) -> None:
    clip = np.random.default_rng(0).uniform(-0.5, 0.5, (1, round(SHORTEST * rate)))
    found = features(mulaw.encode(clip), rate)
    assert np.isfinite(found.scalars).all()
    assert np.linalg.eigvalsh(found.gaussian()[1]).min() > 0.99 * RIDGE  # fewer frames than bands
