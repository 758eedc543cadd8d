"""Clips on pages: sound, waveform, mel spectrogram, warnings and facts of each; and the page to listen to them.

The warnings are defects that can be detected: silence, clipping, a loop.
"""

import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from matplotlib.image import imsave
from numpy.typing import NDArray
from scipy.signal import correlate

from sequnet_pl.errors import UserError
from sequnet_pl.report.page import data_uri, relative_url, write_page
from sequnet_pl.report.spectrogram import COLOURS, FLOOR, mel_spectrogram

EMBEDDED_SECONDS = 30.0
"""Length up to which audio is embedded in a page; longer clips are linked."""

SILENT_BELOW = -60.0
"""dBFS of the root mean square (0 dBFS: a square wave at full scale)."""
CLIPPED_ABOVE = 0.01
"""Share of samples at full scale."""
LOOP_ABOVE = 0.98
"""Normalised autocorrelation."""

_FULL_SCALE = 0.999  # the outermost mu-law codes decode to 1.0, their neighbours to 0.98; 16-bit files end at 0.99997

_COLUMNS = 600  # of the waveform
_PIXELS = 1000  # width of the spectrogram at most
_QUIETEST = 0.01  # -40 dBFS: quieter clips are not scaled up, so that noise in silence does not look like sound


FLAGS = {
    "silent": f"level below {SILENT_BELOW:.0f} dBFS",
    "clipped": f"over {CLIPPED_ABOVE:.0%} of the samples at full scale",
    "loop": "the last second repeats an earlier part of up to a second before it",
}
"""Warnings about a clip: the word that is shown, and its meaning."""


def flags(samples: NDArray[np.float32], rate: int) -> list[str]:
    """The FLAGS of (T,) samples at `rate` Hz, in their order; none for no samples."""
    if not len(samples):
        return []
    loop = loop_score(samples, rate) > LOOP_ABOVE
    held = (level(samples) < SILENT_BELOW, clipped_share(samples) > CLIPPED_ABOVE, loop)
    return [flag for flag, holds in zip(FLAGS, held, strict=True) if holds]


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


@dataclass(frozen=True, kw_only=True)
class PageClip:
    """One clip on a page.

    Attributes:
        name: Heading of the clip.
        wav: The file that holds the clip, which the page links; None if `samples` are given.
        samples: (T,) float32 in [-1, 1] at `rate` Hz; read from `wav` if None.
        rate: Hz; that of `wav` if None.
        prompt_end: Seconds at which the prompt ends; 0 without a prompt.
        bits_per_sample: Of the network for its own part of the clip; None or NaN if it was not measured.
        temperature: Of the draws; None if nothing was drawn.
        seed: Of the random numbers.
        network: The network that made the clip; clips are grouped by it.
        command: The command line that makes the clip again; may be empty.
        after: What follows the prompt, in a word.
        details: Further facts by name.
    """

    name: str
    wav: Path | None = None
    samples: NDArray[np.float32] | None = None
    rate: int | None = None
    prompt_end: float = 0.0
    bits_per_sample: float | None = None
    temperature: float | None = None
    seed: int | None = None
    network: str = ""
    command: str = ""
    after: str = "generated"
    details: Mapping[str, str] = field(default_factory=dict)

    @property
    def bits(self) -> float:
        """Bits per sample for sorting; infinite if they were not measured."""
        known = self.bits_per_sample is not None and math.isfinite(self.bits_per_sample)
        return self.bits_per_sample if known else math.inf  # type: ignore[return-value]

    def audio(self) -> tuple[NDArray[np.float32], int]:
        """Samples (T,) and rate in Hz. Raises UserError if `wav` cannot be read."""
        if self.samples is not None:
            assert self.rate
            return self.samples, self.rate
        assert self.wav
        return read_clip(self.wav)


def read_clip(path: Path) -> tuple[NDArray[np.float32], int]:
    """Samples (T,) of a sound file, channels averaged, and the rate in Hz. Raises UserError if it is unreadable."""
    try:
        with path.open("rb") as file:  # soundfile itself refuses names that are not UTF-8
            samples, rate = soundfile.read(file, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError) as error:
        raise UserError(f"cannot read {path}: {error}; give a wav or flac file") from error
    return samples.mean(axis=1), rate


def view(clip: PageClip, page: Path) -> dict[str, Any]:
    """The values that parts.html needs to show a clip on the page at this path. Raises UserError if it is unreadable.

    Warnings concern only the part after the prompt.
    """
    samples, rate = clip.audio()
    seconds, own = max(1, len(samples)) / rate, samples[round(clip.prompt_end * rate) :]
    picture = _picture(samples, rate)  # first: it refuses samples that are not finite
    url = relative_url(clip.wav, page) if clip.wav else ""
    bits = f"{clip.bits:.3f}" if math.isfinite(clip.bits) else "–"
    drawn = {} if clip.temperature is None else {"temperature": f"{clip.temperature:g}", "seed": clip.seed}
    prompt = {"prompt": f"{clip.prompt_end:.2f} s"} if clip.prompt_end else {}
    facts = {"length": f"{seconds:.2f} s"} | prompt | {"level": f"{max(level(own), -99):.0f} dBFS"}
    brief = [f"{bits} bits"] if math.isfinite(clip.bits) else []
    brief += [f"temperature {drawn['temperature']}"] if drawn else []
    return {
        "name": clip.name,
        "flags": warnings(flags(own, rate)),
        "part": f"{clip.after} part " if clip.prompt_end else "",
        "seconds": seconds,
        "share": round(100 * min(1, clip.prompt_end / seconds), 2),
        "after": clip.after,
        "columns": _COLUMNS,
        "outline": _outline(samples),
        "picture": picture,
        "audio": url if url and seconds > EMBEDDED_SECONDS else _wav(samples, rate),
        "brief": ", ".join(brief) or facts["length"],
        "facts": {"bits per sample": bits} | drawn | facts | dict(clip.details),
        "url": url,
        "file": clip.wav.name if clip.wav else "",
        "command": clip.command,
    }


def warnings(found: Iterable[str]) -> list[tuple[str, str]]:
    """The words and meanings of flags for parts.html; a flag of another version has no meaning."""
    return [(flag, FLAGS.get(flag, "")) for flag in found]


def write_listening_page(
    path: Path,
    title: str,
    clips: Sequence[PageClip],
    links: Iterable[tuple[str, Path]] = (),
    folders: Iterable[tuple[str, Path, str]] = (),
) -> None:
    """Write a page of clips in groups of one network each, the likeliest clip of a group first.

    `links` are those of `write_page`; `folders` are name, page and content of folders of other clips. Raises
    UserError if a clip cannot be read or the page cannot be written.
    """
    ranked = sorted(clips, key=lambda clip: (clip.network, clip.bits))
    grouped = groupby(ranked, key=lambda clip: clip.network)
    groups = [(network, [view(clip, path) for clip in members]) for network, members in grouped]
    linked = [(name, relative_url(page, path), content) for name, page, content in folders]
    write_page(path, "clips.html", title, links, groups=groups, folders=linked)


def _wav(samples: NDArray[np.float32], rate: int) -> str:
    """Uncompressed, since Chromium cannot seek in a FLAC file of a second."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="WAV", subtype="PCM_16")
    return data_uri(file.getvalue(), "audio/wav")


def _picture(samples: NDArray[np.float32], rate: int) -> str:
    """The spectrogram alone, a pixel a value; the page stretches it."""
    file = io.BytesIO()
    mel, _ = mel_spectrogram(samples, rate, _PIXELS)
    imsave(file, mel, vmin=FLOOR, vmax=0, cmap=COLOURS, origin="lower", format="jpg", pil_kwargs={"quality": 90})
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
