"""Clips on pages: sound, waveform, mel spectrogram, facts and detectable defects of each; and the page to listen."""

import io
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import librosa
import librosa.display
import numpy as np
import soundfile
from matplotlib.figure import Figure
from matplotlib.image import imsave
from numpy.typing import NDArray
from scipy.signal import correlate

from sequnet_pl.atomic import replacing
from sequnet_pl.errors import UserError
from sequnet_pl.report.page import data_uri, write_page

EMBEDDED_SECONDS = 30.0
"""Length up to which audio is embedded in a page; longer clips are linked."""
SILENT_BELOW = -60.0
"""dBFS of the root mean square (0 dBFS: a square wave at full scale)."""
FLAGS = {
    "silent": f"level below {SILENT_BELOW:.0f} dBFS",
    "clipped": "over 1 % of the samples at full scale",
    "loop": "the last second repeats an earlier part of up to a second before it",
}
"""Warnings about a clip: the word that is shown, and its meaning."""

_FULL_SCALE = 0.999  # the outermost mu-law codes decode to 1.0, their neighbours to 0.98; 16-bit files end at 0.99997
_FLOOR = -90.0  # dB below a full-scale sine: the lowest level in a spectrogram
_WINDOW, _HOP, _MELS = 0.064, 0.008, 96  # of a spectrogram: seconds, seconds, bands
_COLOURS = "magma"  # of matplotlib
_COLUMNS = 600  # of the waveform
_PIXELS = 1000  # width of the spectrogram at most
_QUIETEST = 0.01  # -40 dBFS: quieter clips are not scaled up, so that noise in silence does not look like sound


def flags(samples: NDArray[np.float32], rate: int) -> list[str]:
    """The FLAGS of (T,) samples at `rate` Hz, in their order; none for no samples."""
    if not len(samples):
        return []
    found = (level(samples) < SILENT_BELOW, clipped_share(samples) > 0.01, loop_score(samples, rate) > 0.98)
    return [flag for flag, holds in zip(FLAGS, found, strict=True) if holds]


def level(samples: NDArray[np.floating]) -> float:
    """Root mean square of (T,) samples in dBFS, -inf for digital silence."""
    power = float(np.square(samples, dtype=np.float64).sum()) / max(1, len(samples))
    return 10 * float(np.log10(power)) if power > 0 else float("-inf")


def clipped_share(samples: NDArray[np.floating]) -> float:
    """Share of (T,) samples at full scale, 0 to 1."""
    return int(np.count_nonzero(np.abs(samples) >= _FULL_SCALE)) / max(1, len(samples))


def loop_score(samples: NDArray[np.floating], rate: int) -> float:
    """Largest normalised autocorrelation of the last second at lags of 20 ms to 1 s; 0 if that second is silent.

    The last second is correlated with the segment of the same length that ends one lag earlier. For a clip shorter than
    two seconds it is the second half, with all segments that begin earlier. Independent of loudness.
    """
    end = np.asarray(samples[max(0, len(samples) - 2 * rate) :], dtype=np.float64)
    size = min(rate, len(end) // 2)
    shortest = max(1, round(0.02 * rate))
    longest = len(end) - size
    if size < shortest or longest < shortest or level(end[-size:]) < SILENT_BELOW:
        return 0.0
    products = correlate(end, end[-size:], mode="valid", method="fft")  # products[i] has lag longest - i
    energy = np.concatenate(([0.0], np.cumsum(end**2)))
    energies = energy[size:] - energy[:-size]
    loud = energies > size * 10 ** (SILENT_BELOW / 10)  # a silent segment is no loop, and would divide by zero
    scores = products / np.sqrt(np.where(loud, energies, np.inf) * energies[-1])
    return float(np.clip(scores[: longest - shortest + 1].max(), 0.0, 1.0))


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
    power = librosa.filters.mel(sr=rate, n_fft=size, n_mels=_MELS, norm=None) @ spectra / full_scale
    return librosa.power_to_db(power, amin=10 ** (_FLOOR / 10), top_db=None).astype(np.float32), hop


def save_spectrogram(
    path: Path, samples: NDArray[np.float32], rate: int, prompt_end: float = 0.0, title: str = ""
) -> None:
    """Write the mel spectrogram of (T,) samples as a PNG, with a line at `prompt_end` seconds unless that is 0.

    Raises UserError if that fails.
    """
    mel, hop = mel_spectrogram(samples, rate)
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    axes = figure.add_subplot()
    image = librosa.display.specshow(
        mel, sr=rate, hop_length=hop, x_axis="time", y_axis="mel", vmin=_FLOOR, vmax=0, cmap=_COLOURS, ax=axes
    )
    axes.set_title(title, parse_math=False)  # file names may hold dollar signs
    if prompt_end:
        axes.axvline(prompt_end, color="white", linewidth=1.5, linestyle="--")
    figure.colorbar(image, ax=axes, label="dB", pad=0.01)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)


@dataclass(frozen=True, kw_only=True)
class PageClip:
    """One clip on a page: samples (T,) float32 in [-1, 1], or a file that holds them, which the page then links."""

    name: str
    wav: Path | None = None
    samples: NDArray[np.float32] | None = None
    rate: int | None = None  # Hz, of `samples`
    prompt_end: float = 0.0  # seconds; 0 without a prompt
    bits_per_sample: float | None = None  # of its part after the prompt; None or NaN if not measured
    temperature: float | None = None  # None if nothing was drawn
    seed: int | None = None
    network: str = ""  # clips are grouped by it
    command: str = ""  # the command line that makes the clip again
    after: str = "generated"  # what follows the prompt
    details: Mapping[str, str] = field(default_factory=dict)  # further facts by name

    @property
    def bits(self) -> float:
        """Bits per sample for sorting; infinite if they were not measured."""
        bits = self.bits_per_sample
        return math.inf if bits is None or not math.isfinite(bits) else bits


def read_clip(path: Path) -> tuple[NDArray[np.float32], int]:
    """Samples (T,) of a sound file, channels averaged, and the rate in Hz. Raises UserError if it is unreadable."""
    try:
        with path.open("rb") as file:  # soundfile itself refuses names that are not UTF-8
            samples, rate = soundfile.read(file, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError) as error:
        raise UserError(f"cannot read {path}: {error}; give a wav or flac file") from error
    return samples.mean(axis=1), rate


def view(clip: PageClip) -> dict[str, Any]:
    """The values that parts.html needs to show a clip. Raises UserError if it is unreadable.

    Warnings concern only the part after the prompt.
    """
    samples, rate = clip.samples, clip.rate
    if samples is None or rate is None:
        assert clip.wav
        samples, rate = read_clip(clip.wav)
    seconds, own = max(1, len(samples)) / rate, samples[round(clip.prompt_end * rate) :]
    picture = _picture(samples, rate)  # first: it refuses samples that are not finite
    facts = {"length": f"{seconds:.2f} s", "level": f"{max(level(own), -99):.0f} dBFS"}
    brief = []
    if math.isfinite(clip.bits):
        facts["bits per sample"] = f"{clip.bits:.3f}"
        brief.append(f"{clip.bits:.3f} bits")
    if clip.temperature is not None:
        facts |= {"temperature": f"{clip.temperature:g}", "seed": str(clip.seed)}
        brief.append(f"temperature {clip.temperature:g}")
    if clip.prompt_end:
        facts["prompt"] = f"{clip.prompt_end:.2f} s"
    return {
        "clip": clip,
        "flags": {flag: FLAGS[flag] for flag in flags(own, rate)},
        "part": f"{clip.after} part " if clip.prompt_end else "",
        "seconds": seconds,
        "share": round(100 * min(1, clip.prompt_end / seconds), 2),
        "columns": _COLUMNS,
        "outline": _outline(samples),
        "picture": picture,
        "audio": "" if clip.wav and seconds > EMBEDDED_SECONDS else _wav(samples, rate),
        "brief": ", ".join(brief) or facts["length"],
        "facts": facts | dict(clip.details),
    }


def write_listening_page(
    path: Path,
    title: str,
    clips: Iterable[PageClip],
    links: Iterable[tuple[str, Path]] = (),
    folders: Iterable[tuple[str, Path, str]] = (),
) -> None:
    """Write a page of clips in groups of one network each, the likeliest clip of a group first.

    `links` are those of `write_page`; `folders` are name, page and content of folders of other clips. Raises
    UserError if a clip cannot be read or the page cannot be written.
    """
    shown = [[view(clip)] for clip in sorted(clips, key=lambda clip: clip.bits)]
    write_page(path, "clips.html", title, links, clips=shown, folders=list(folders))


def _wav(samples: NDArray[np.float32], rate: int) -> str:
    """Uncompressed, since Chromium cannot seek in a FLAC file of a second."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="WAV", subtype="PCM_16")
    return data_uri(file.getvalue(), "audio/wav")


def _picture(samples: NDArray[np.float32], rate: int) -> str:
    """The spectrogram alone, a pixel a value; the page stretches it."""
    file = io.BytesIO()
    mel, _ = mel_spectrogram(samples, rate, _PIXELS)
    imsave(file, mel, vmin=_FLOOR, vmax=0, cmap=_COLOURS, origin="lower", format="jpg", pil_kwargs={"quality": 90})
    return data_uri(file.getvalue(), "image/jpeg")


def _outline(samples: NDArray[np.float32]) -> str:
    """Points of the waveform's outline, scaled to its peak: highest samples to the right, lowest back."""
    if not len(samples):
        return ""
    edges = np.linspace(0, len(samples), _COLUMNS, endpoint=False).astype(int)
    high, low = np.maximum.reduceat(samples, edges), np.minimum.reduceat(samples, edges)
    scale = max(float(np.abs(samples).max()), _QUIETEST)
    points = [*enumerate(high / scale + 0.01), *reversed([*enumerate(low / scale - 0.01)])]
    return " ".join(f"{x},{-y:.2f}" for x, y in points)
