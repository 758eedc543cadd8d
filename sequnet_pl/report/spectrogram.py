"""Mel spectrograms of clips, and their PNG files. Letters: T samples, M mel bands, F frames."""

from pathlib import Path

import librosa
import librosa.display
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from sequnet_pl.atomic import replacing
from sequnet_pl.errors import UserError

FLOOR = -90.0
"""Lowest level that is distinguished, in dB below a full-scale sine."""
COLOURS = "magma"
"""Colour map, by matplotlib's name."""
MELS = 96

_WINDOW = 0.064  # seconds
_HOP = 0.008


def mel_spectrogram(samples: NDArray[np.float32], rate: int, columns: int = 2000) -> tuple[NDArray[np.float32], int]:
    """Power in mel bands, (T,) samples at `rate` Hz to (M, F) dB, 0 dB for a full-scale sine; and the hop in samples.

    The hop is 8 ms, or as much longer as keeps F at `columns` at most. Raises UserError if samples are not finite.
    """
    if not np.isfinite(samples).all():
        raise UserError("cannot draw the audio: it holds NaN or infinite samples; check where it comes from")
    size, hop = round(_WINDOW * rate), max(round(_HOP * rate), -(-len(samples) // (columns - 1)), 1)
    padded = np.pad(samples, size // 2)  # frames are centred on multiples of the hop, whatever the length
    spectra = np.abs(librosa.stft(padded, n_fft=size, hop_length=hop, center=False)) ** 2
    full_scale = (librosa.filters.get_window("hann", size).sum() / 2) ** 2
    power = librosa.filters.mel(sr=rate, n_fft=size, n_mels=MELS, norm=None) @ spectra / full_scale
    return librosa.power_to_db(power, amin=10 ** (FLOOR / 10), top_db=None).astype(np.float32), hop


def save_spectrogram(
    path: Path,
    samples: NDArray[np.float32],
    rate: int,
    prompt_end: float = 0.0,
    title: str = "",
    after: str = "generated",
) -> None:
    """Write the mel spectrogram of (T,) samples as a PNG. Raises UserError if that fails.

    `prompt_end`: seconds at which the prompt ends and the part called `after` begins; 0 without a prompt.
    """
    mel, hop = mel_spectrogram(samples, rate)
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    axes = figure.add_subplot()
    image = librosa.display.specshow(
        mel, sr=rate, hop_length=hop, x_axis="time", y_axis="mel", vmin=FLOOR, vmax=0, cmap=COLOURS, ax=axes
    )
    axes.set_title(title, parse_math=False)  # file names may hold dollar signs
    if prompt_end:
        axes.axvline(prompt_end, color="white", linewidth=2.5)
        axes.axvline(prompt_end, color="black", linewidth=1, linestyle="--")
        for text, side in (("prompt ", "right"), (f" {after}", "left")):
            style = {"transform": axes.get_xaxis_transform(), "ha": side, "va": "top", "clip_on": True}
            axes.text(prompt_end, 0.97, text, color="white", **style)
    figure.colorbar(image, ax=axes, label="dB", pad=0.01)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)
