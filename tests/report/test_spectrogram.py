from pathlib import Path

import librosa
import matplotlib.pyplot
import numpy as np
import pytest
from matplotlib.image import imread
from numpy.typing import NDArray

from sequnet_pl.errors import UserError
from sequnet_pl.report import spectrogram
from sequnet_pl.report.spectrogram import FLOOR, draw_spectrogram, mel_spectrogram, save_spectrogram

RATE = 16000


def sine(hertz: float, seconds: float = 1.0, rate: int = RATE) -> NDArray[np.float32]:
    return np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate).astype(np.float32)


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
@pytest.mark.parametrize("hertz", [440.0, 3000.0])
def test_full_scale_sine_is_near_0_db_in_its_own_band(rate: int, hertz: float) -> None:
    mel = mel_spectrogram(sine(hertz, rate=rate), rate)
    band = mel[:, mel.shape[1] // 2].argmax()
    centres = librosa.mel_frequencies(len(mel) + 2, fmax=rate / 2)[1:-1]
    assert abs(centres[band] / hertz - 1) < 0.06
    assert abs(mel.max()) < 2


def test_frames_stand_at_their_time() -> None:
    click = np.zeros(RATE, np.float32)
    click[RATE // 2] = 1
    mel = mel_spectrogram(click, RATE)
    assert mel.shape == (96, 126) and mel.dtype == np.float32
    assert mel.mean(axis=0).argmax() == 63 or abs(mel.mean(axis=0).argmax() / 125 - 0.5) < 0.01


@pytest.mark.parametrize("length", [0, 1, 127, 128, 1000, 12345])
@pytest.mark.parametrize("block", [1, 7, 64])
def test_blocks_change_nothing(length: int, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(length).uniform(-1, 1, length).astype(np.float32)
    whole = {columns: mel_spectrogram(noise, RATE, columns=columns) for columns in (10, 2000)}
    monkeypatch.setattr(spectrogram, "_BLOCK", block)
    for columns, expected in whole.items():
        mel = mel_spectrogram(noise, RATE, columns=columns)
        assert mel.shape[1] <= columns
        np.testing.assert_allclose(mel, expected, atol=1e-3)


def test_pooling_keeps_the_mean_power() -> None:
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 4 * RATE).astype(np.float32)
    fine, pooled = mel_spectrogram(noise, RATE)[:, :500], mel_spectrogram(noise, RATE, columns=101)
    power = (10 ** (fine / 10)).reshape(len(fine), 100, 5).mean(axis=2)
    np.testing.assert_allclose(pooled[:, :100], 10 * np.log10(power), atol=1e-3)


def test_an_hour_is_read_in_small_parts() -> None:
    class Hour:
        largest = 0

        def __len__(self) -> int:
            return 3600 * 4000

        def __getitem__(self, part: slice) -> NDArray[np.float32]:
            start, stop, _ = part.indices(len(self))
            self.largest = max(self.largest, stop - start)
            return np.zeros(stop - start, np.float32)

    hour = Hour()
    mel = mel_spectrogram(hour, 4000)
    assert 1000 < mel.shape[1] <= 2000 and (mel == FLOOR).all()
    assert hour.largest < 60 * 4000


def test_samples_that_are_no_sound_are_refused() -> None:
    with pytest.raises(UserError, match="NaN"):
        mel_spectrogram(np.array([0, np.nan, 0], np.float32), RATE)


@pytest.mark.parametrize(("border", "lines"), [(None, []), (0.0, []), (0.25, [0.25, 0.25])])
def test_border_is_drawn_where_the_prompt_ends(border: float | None, lines: list[float]) -> None:
    axes = draw_spectrogram(sine(440), RATE, border).axes[0]
    assert [line.get_xdata()[0] for line in axes.lines] == lines  # pyright: ignore
    assert axes.get_xlim() == (0, 1)
    assert ("prompt" in {text.get_text() for text in axes.texts}) == bool(lines)


def test_png_holds_the_picture_whatever_the_title(tmp_path: Path) -> None:
    path = tmp_path / "new" / "clip.png"
    save_spectrogram(path, sine(440), RATE, 0.5, title="costs $5 and $x_{ <b>")
    assert imread(path).shape[1] == 1200
    assert list(path.parent.iterdir()) == [path]
    assert not matplotlib.pyplot.get_fignums()


def test_png_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot make"):
        save_spectrogram(tmp_path / "file" / "clip.png", sine(440), RATE)
