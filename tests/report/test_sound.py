"""Mel spectrograms, and warnings about silence, clipping and loops."""

from pathlib import Path

import librosa
import numpy as np
import pytest
from matplotlib.image import imread
from numpy.typing import NDArray

from sequnet_pl.errors import UserError
from sequnet_pl.report.clip import clipped_share, flags, level, loop_score, mel_spectrogram, save_spectrogram

RATE = 8000
SILENCE = np.full(2 * RATE, 8.6e-5, np.float32)
"""Code 128, decoded."""


def noise(seconds: float, amplitude: float = 0.3, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).uniform(-amplitude, amplitude, round(seconds * RATE)).astype(np.float32)


def looped(period: float, seconds: float = 3.0) -> NDArray[np.float32]:
    """Noise of `period` seconds over and over."""
    return np.tile(noise(period, seed=1), int(np.ceil(seconds / period)))[: round(seconds * RATE)]


@pytest.mark.parametrize(
    ("clip", "expected"),
    [
        pytest.param(noise(3), [], id="noise"),
        pytest.param(noise(0.5), [], id="short noise"),
        pytest.param(looped(1.2, seconds=5), [], id="loop of more than a second"),
        pytest.param(np.concatenate([looped(0.1), noise(1)]), [], id="loop that ended a second ago"),
        pytest.param(np.concatenate([noise(2), SILENCE]), [], id="silent end"),
        *(pytest.param(looped(period), ["loop"], id=f"loop of {period} s") for period in (0.02, 0.1, 0.333, 0.9, 1.0)),
        pytest.param(looped(0.1) * np.linspace(1, 0.9, 3 * RATE, dtype=np.float32), ["loop"], id="fading loop"),
        pytest.param(looped(0.1, seconds=0.5), ["loop"], id="short loop"),
        pytest.param(np.full(2 * RATE, 0.3, np.float32), ["loop"], id="stuck code"),
        pytest.param(SILENCE, ["silent"], id="code of silence"),
        pytest.param(np.zeros(RATE // 2, np.float32), ["silent"], id="short digital silence"),
        pytest.param(np.zeros(0, np.float32), [], id="no samples"),
        pytest.param(np.full(3, 0.5, np.float32), [], id="three samples"),
    ],
)
def test_flags(clip: NDArray[np.float32], expected: list[str]) -> None:
    assert flags(clip, RATE) == expected


@pytest.mark.parametrize(("decibels", "silent"), [(-61, True), (-59, False)])
def test_silence_depends_on_level(decibels: float, silent: bool) -> None:
    quiet = noise(3) / np.sqrt(np.mean(noise(3) ** 2)) * 10 ** (decibels / 20)
    assert level(quiet) == pytest.approx(decibels, abs=1e-3)
    assert ("silent" in flags(quiet, RATE)) == silent


@pytest.mark.parametrize(
    ("share", "clipped", "peak"), [(0.009, False, 1.0), (0.011, True, -1.0), (0.011, True, 0.9999)]
)
def test_clipping_depends_on_the_share_of_full_scale(share: float, clipped: bool, peak: float) -> None:
    loud = noise(2)
    loud[: round(share * len(loud))] = peak
    assert clipped_share(loud) == pytest.approx(share, abs=1e-4)
    assert ("clipped" in flags(loud, RATE)) == clipped


def test_the_score_of_a_loop_is_the_largest_correlation() -> None:
    clip = looped(0.1, seconds=0.5) + noise(0.5, seed=3)
    half = len(clip) // 2
    scores = [
        np.corrcoef(clip[-half:], clip[len(clip) - half - lag : len(clip) - lag])[0, 1]
        for lag in range(round(0.02 * RATE), len(clip) - half + 1)
    ]
    assert loop_score(clip, RATE) == pytest.approx(max(scores), abs=0.01)  # corrcoef takes the mean off


def sine(hertz: float, seconds: float = 1.0, rate: int = 16_000) -> NDArray[np.float32]:
    return np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate).astype(np.float32)


@pytest.mark.parametrize(("rate", "hertz"), [(8000, 440.0), (16000, 3000.0), (44100, 3000.0)])
def test_a_full_scale_sine_is_near_0_db_in_its_own_band(rate: int, hertz: float) -> None:
    mel, _ = mel_spectrogram(sine(hertz, rate=rate), rate)
    band = mel[:, mel.shape[1] // 2].argmax()
    centres = librosa.mel_frequencies(len(mel) + 2, fmax=rate / 2)[1:-1]
    assert abs(centres[band] / hertz - 1) < 0.06
    assert abs(mel.max()) < 2


def test_frames_are_centred_on_multiples_of_the_hop() -> None:
    click = np.zeros(16_000, np.float32)
    click[16_000 // 2] = 1
    mel, hop = mel_spectrogram(click, 16_000)
    assert mel.shape == (96, 126) and hop == 128
    assert abs(mel.mean(axis=0).argmax() * hop / 16_000 - 0.5) < 0.01


@pytest.mark.parametrize("length", [0, 1, 127, 12345, 40 * 16_000])
def test_any_length_has_a_bounded_number_of_frames(length: int) -> None:
    mel, hop = mel_spectrogram(np.zeros(length, np.float32), 16_000, columns=1000)
    assert 1 <= mel.shape[1] <= 1000 and (mel == -90).all()
    assert abs(mel.shape[1] * hop - length) <= 2 * hop


def test_a_png_has_the_picture_whatever_the_title(tmp_path: Path) -> None:
    path = tmp_path / "new" / "clip.png"
    save_spectrogram(path, sine(440), 16_000, prompt_end=0.5, title="costs $5 and $x_{ <b>")
    assert imread(path).shape[1] == 1200
    assert list(path.parent.iterdir()) == [path]


def test_samples_that_are_not_finite_and_a_png_that_cannot_be_written_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="NaN"):
        mel_spectrogram(np.array([0, np.nan, 0], np.float32), 16_000)
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot make"):
        save_spectrogram(tmp_path / "file" / "clip.png", sine(440), 16_000)
