"""Mel spectrograms of clips and recordings of any length, made by blocks, and their PNG files.

Letters: T samples, M mel bands, F frames (columns of the picture).
"""

from pathlib import Path

import librosa
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from sequnet_pl.atomic import replacing
from sequnet_pl.errors import UserError
from sequnet_pl.report.samples import Samples

FLOOR = -90.0
"""The quietest level that is told apart, in dB below a full-scale sine."""
COLOURS = "magma"
"""Matplotlib's name of the colour map; even in lightness, so that it reads in grey too."""

_BLOCK = 4096  # frames transformed at a time: about 20 MB at a window of 1024


def mel_spectrogram(
    samples: Samples, rate: int, mels: int = 96, window: float = 0.064, hop: float = 0.008, columns: int = 2000
) -> NDArray[np.float32]:
    """Power in mel bands, (T,) samples to (M, F) dB, where 0 dB is a full-scale sine and nothing lies below `FLOOR`.

    Args:
        samples: at `rate` Hz; read by blocks, so memory does not grow with T beyond the samples themselves.
        window: seconds a frame looks at.
        hop: seconds between frames, which stand centred on multiples of it.
        columns: the largest F; a longer spectrogram shows the mean power of neighbouring frames.

    Raises UserError where samples are not finite.
    """
    size, step = round(window * rate), max(1, round(hop * rate))
    frames = 1 + len(samples) // step
    pooled = -(-frames // columns)
    filters = librosa.filters.mel(sr=rate, n_fft=size, n_mels=mels, norm=None)
    full_scale = (librosa.filters.get_window("hann", size).sum() / 2) ** 2  # power of a full-scale sine in its bin
    block = max(1, _BLOCK // pooled) * pooled  # whole columns
    parts = []
    for first in range(0, frames, block):
        count = min(block, frames - first)
        start = first * step - size // 2
        heard = _padded(samples, start, start + (count - 1) * step + size)
        if not np.isfinite(heard).all():
            raise UserError("cannot draw the audio: it holds NaN or infinite samples; check where it comes from")
        power = np.abs(librosa.stft(heard, n_fft=size, hop_length=step, center=False)) ** 2 / full_scale
        edges = np.arange(0, count, pooled)
        parts.append(np.add.reduceat(filters @ power, edges, axis=1) / np.diff(edges, append=count))
    floor = 10 ** (FLOOR / 10)
    return librosa.power_to_db(np.concatenate(parts, axis=1), amin=floor, top_db=None).astype(np.float32)


def _padded(samples: Samples, start: int, stop: int) -> NDArray[np.float32]:
    """`samples[start:stop]` where what lies outside the audio is zero."""
    inside = np.asarray(samples[max(start, 0) : max(min(stop, len(samples)), 0)], dtype=np.float32)
    before = max(-start, 0)
    return np.pad(inside, (before, stop - start - before - len(inside)))


def draw_spectrogram(
    samples: Samples, rate: int, border: float | None = None, title: str = "", after: str = "generated"
) -> Figure:
    """A figure of the mel spectrogram of (T,) samples; at `border` seconds the prompt ends, and `after` begins."""
    mel = mel_spectrogram(samples, rate)
    bands, seconds = len(mel), max(len(samples), 1) / rate
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(
        mel, origin="lower", aspect="auto", cmap=COLOURS, vmin=FLOOR, vmax=0, extent=(0, seconds, 0, bands)
    )
    ticks = [hertz for hertz in (125, 250, 500, 1000, 2000, 4000, 8000, 16000) if hertz <= rate / 2]
    top = librosa.hz_to_mel(rate / 2)
    axes.set_yticks([float(librosa.hz_to_mel(hertz) / top) * bands for hertz in ticks], [_hertz(t) for t in ticks])
    axes.set(xlabel="seconds", ylabel="Hz")
    axes.set_title(title, parse_math=False)  # file names may hold dollar signs
    if border:  # neither None nor 0: a clip from silence has no prompt
        axes.axvline(border, color="white", linewidth=2.5)
        axes.axvline(border, color="black", linewidth=1, linestyle="--")
        for text, side, offset in (("prompt", "right", -6), (after, "left", 6)):
            axes.annotate(
                text,
                (border, bands),
                xytext=(offset, -6),
                textcoords="offset points",
                ha=side,
                va="top",
                color="white",
                clip_on=True,
            )
    figure.colorbar(image, ax=axes, label="dB", pad=0.01)
    return figure


def _hertz(hertz: int) -> str:
    return f"{hertz // 1000}k" if hertz >= 1000 else str(hertz)


def save_spectrogram(
    path: Path, samples: Samples, rate: int, border: float | None = None, title: str = "", after: str = "generated"
) -> None:
    """Write `draw_spectrogram` as a PNG. Raises UserError where the file cannot be written."""
    figure = draw_spectrogram(samples, rate, border, title, after)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)
