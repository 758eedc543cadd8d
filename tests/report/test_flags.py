import numpy as np
import pytest
from numpy.typing import NDArray

from sequnet_pl.report.clip import clipped_share, flags, level, loop_score

RATE = 8000


def noise(seconds: float, amplitude: float = 0.3, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).uniform(-amplitude, amplitude, round(seconds * RATE)).astype(np.float32)


def looped(period: float, seconds: float = 3.0, start: float = 0.0) -> NDArray[np.float32]:
    """Noise up to `start`, then a stretch of `period` seconds over and over."""
    piece = noise(period, seed=1)
    repeats = int(np.ceil((seconds - start) / period))
    return np.concatenate([noise(start), np.tile(piece, repeats)])[: round(seconds * RATE)]


def test_ordinary_sound_has_no_flags() -> None:
    assert flags(noise(3), RATE) == []


@pytest.mark.parametrize(("decibels", "silent"), [(-61, True), (-59, False)])
def test_silence_is_told_by_level(decibels: float, silent: bool) -> None:
    quiet = noise(3) / np.sqrt(np.mean(noise(3) ** 2)) * 10 ** (decibels / 20)
    assert level(quiet) == pytest.approx(decibels, abs=1e-3)
    assert ("silent" in flags(quiet, RATE)) == silent


@pytest.mark.parametrize(("share", "clipped"), [(0.009, False), (0.011, True)])
@pytest.mark.parametrize("peak", [1.0, -1.0, 32767 / 32768])
def test_clipping_is_told_by_share_of_full_scale(share: float, clipped: bool, peak: float) -> None:
    loud = noise(2)
    loud[: round(share * len(loud))] = peak
    assert clipped_share(loud) == pytest.approx(share, abs=1e-4)
    assert ("clipped" in flags(loud, RATE)) == clipped


@pytest.mark.parametrize("period", [0.02, 0.1, 0.333, 0.9, 1.0])
def test_loops_of_20_ms_to_a_second_are_found(period: float) -> None:
    assert flags(looped(period), RATE) == ["loop"]
    assert flags(looped(period) * np.linspace(1, 0.9, 3 * RATE, dtype=np.float32), RATE) == ["loop"]


def test_a_loop_longer_than_a_second_is_none() -> None:
    assert flags(looped(1.2, seconds=5), RATE) == []


def test_a_loop_that_ended_a_second_ago_is_none() -> None:
    assert flags(np.concatenate([looped(0.1), noise(1)]), RATE) == []


def test_a_stuck_code_is_a_loop() -> None:
    assert flags(np.full(2 * RATE, 0.3, np.float32), RATE) == ["loop"]


def test_a_clip_shorter_than_two_seconds_can_loop() -> None:
    assert flags(looped(0.1, seconds=0.5), RATE) == ["loop"]
    assert flags(noise(0.5), RATE) == []


@pytest.mark.parametrize("seconds", [0.5, 3])
def test_a_silent_clip_is_silent_and_no_loop(seconds: float) -> None:
    assert flags(np.zeros(round(seconds * RATE), np.float32), RATE) == ["silent"]
    assert flags(np.full(round(seconds * RATE), 8.6e-5, np.float32), RATE) == ["silent"]  # code 128, decoded


def test_a_silent_end_is_no_loop() -> None:
    assert flags(np.concatenate([noise(2), np.full(2 * RATE, 8.6e-5, np.float32)]), RATE) == []


@pytest.mark.parametrize("length", [0, 1, 2, 3, 100])
def test_very_short_clips_are_no_trouble(length: int) -> None:
    assert "loop" not in flags(np.full(length, 0.5, np.float32), RATE)


def test_score_is_the_definition() -> None:
    clip = looped(0.1, seconds=0.5) + noise(0.5, seed=3)
    half = len(clip) // 2
    scores = [
        np.corrcoef(clip[-half:], clip[len(clip) - half - lag : len(clip) - lag])[0, 1]
        for lag in range(round(0.02 * RATE), len(clip) - half + 1)
    ]
    assert loop_score(clip, RATE) == pytest.approx(max(scores), abs=0.01)  # corrcoef takes the mean off
