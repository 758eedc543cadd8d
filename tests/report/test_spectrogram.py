from pathlib import Path

import librosa
import numpy as np
import pytest
from matplotlib.image import imread
from numpy.typing import NDArray

from sequnet_pl.errors import UserError
from sequnet_pl.report.clip import mel_spectrogram, save_spectrogram

RATE = 16000


def sine(hertz: float, seconds: float = 1.0, rate: int = RATE) -> NDArray[np.float32]:
    return np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate).astype(np.float32)


@pytest.mark.parametrize(("rate", "hertz"), [(8000, 440.0), (16000, 3000.0), (44100, 3000.0)])
def test_a_full_scale_sine_is_near_0_db_in_its_own_band(rate: int, hertz: float) -> None:
    mel, _ = mel_spectrogram(sine(hertz, rate=rate), rate)
    band = mel[:, mel.shape[1] // 2].argmax()
    centres = librosa.mel_frequencies(len(mel) + 2, fmax=rate / 2)[1:-1]
    assert abs(centres[band] / hertz - 1) < 0.06
    assert abs(mel.max()) < 2


def test_frames_are_centred_on_multiples_of_the_hop() -> None:
    click = np.zeros(RATE, np.float32)
    click[RATE // 2] = 1
    mel, hop = mel_spectrogram(click, RATE)
    assert mel.shape == (96, 126) and hop == 128
    assert abs(mel.mean(axis=0).argmax() * hop / RATE - 0.5) < 0.01


@pytest.mark.parametrize("length", [0, 1, 127, 12345, 40 * RATE])
def test_any_length_has_a_bounded_number_of_frames(length: int) -> None:
    mel, hop = mel_spectrogram(np.zeros(length, np.float32), RATE, columns=1000)
    assert 1 <= mel.shape[1] <= 1000 and (mel == -90).all()
    assert abs(mel.shape[1] * hop - length) <= 2 * hop


def test_a_png_has_the_picture_whatever_the_title(tmp_path: Path) -> None:
    path = tmp_path / "new" / "clip.png"
    save_spectrogram(path, sine(440), RATE, prompt_end=0.5, title="costs $5 and $x_{ <b>")
    assert imread(path).shape[1] == 1200
    assert list(path.parent.iterdir()) == [path]


def test_samples_that_are_not_finite_and_a_png_that_cannot_be_written_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="NaN"):
        mel_spectrogram(np.array([0, np.nan, 0], np.float32), RATE)
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot make"):
        save_spectrogram(tmp_path / "file" / "clip.png", sine(440), RATE)
