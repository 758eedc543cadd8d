"""The part of a page that plays a clip, below its waveform and mel spectrogram with the border of the prompt."""

import io
from pathlib import Path

import librosa
import numpy as np
import soundfile
from markupsafe import Markup
from matplotlib.image import imsave

from sequnet_pl.report.page import data_address, relative_address
from sequnet_pl.report.samples import Samples
from sequnet_pl.report.spectrogram import COLOURS, FLOOR, mel_spectrogram
from sequnet_pl.report.waveform import waveform

EMBEDDED_SECONDS = 30.0
"""Audio up to this length lies inside the page; what is longer is linked."""

_COLUMNS = 1000  # of the spectrogram inside a page: as many pixels as it is wide on a large screen
_STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)  # between marks


def player(
    samples: Samples, rate: int, border: float, page: Path, wav: Path | None = None, after: str = "generated"
) -> Markup:
    """Waveform, spectrogram and audio controls of (T,) samples at `rate` Hz.

    Args:
        border: seconds at which the prompt ends, 0 where there is none.
        page: the file that the part is for; a link to `wav` starts there.
        after: what the part after the border is, in a word.
        wav: the file with the same samples; needed for audio longer than `EMBEDDED_SECONDS`.
    """
    seconds = max(len(samples), 1) / rate
    share = min(max(border / seconds, 0.0), 1.0)
    picture = data_address(_picture(samples, rate), "image/jpeg")  # first: it refuses samples that are not finite
    if seconds <= EMBEDDED_SECONDS or wav is None:
        source = data_address(_flac(samples, rate), "audio/flac")
    else:
        source = relative_address(wav, page)
    return Markup("""<div class="player">
<div class="stage" data-seconds="{:.6f}">
<div class="waveform">{}{}</div>
<div class="picture"><img src="{}" alt="mel spectrogram">{}{}</div>
<i class="head"></i>
</div>
<div class="times">{}</div>
<audio controls preload="metadata" src="{}"></audio>
<div class="bar" hidden><button type="button" aria-label="play or pause"></button><output></output></div>
</div>""").format(
        seconds,
        waveform(samples, share),
        _border(share),
        picture,
        _frequencies(rate),
        _border(share, after),
        _times(seconds),
        source,
    )


def _flac(samples: Samples, rate: int) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.asarray(samples[:]), rate, format="FLAC", subtype="PCM_16")
    return file.getvalue()


def _picture(samples: Samples, rate: int) -> bytes:
    """The spectrogram alone, a pixel a value: the page stretches it, and draws what lies upon it sharp."""
    file = io.BytesIO()
    mel = mel_spectrogram(samples, rate, columns=_COLUMNS)
    imsave(file, mel, vmin=FLOOR, vmax=0, cmap=COLOURS, origin="lower", format="jpg", pil_kwargs={"quality": 90})
    return file.getvalue()


def _border(share: float, after: str = "") -> Markup:
    """The line where the prompt ends; its sides are named, where they have room, if `after` names the second."""
    if share == 0:
        return Markup()
    before = Markup('<b class="before">prompt</b>') if after and share > 0.25 else Markup()  # of a narrow card
    after = Markup("<b>{}</b>").format(after) if after and share < 0.8 else Markup()
    return Markup('<i class="border" style="left:{:.3f}%">{}{}</i>').format(100 * share, before, after)


def _frequencies(rate: int) -> Markup:
    top = librosa.hz_to_mel(rate / 2)
    marks = [hertz for hertz in (500, 1000, 2000, 4000, 8000) if hertz < 0.9 * rate / 2]
    spans = [
        Markup('<span style="bottom:{:.1f}%">{}</span>').format(
            100 * float(librosa.hz_to_mel(hertz) / top), f"{hertz // 1000} kHz" if hertz >= 1000 else f"{hertz} Hz"
        )
        for hertz in marks
    ]
    return Markup().join(spans)


def _times(seconds: float) -> Markup:
    """Marks at round times, about five of them, in minutes where there are any."""
    step = min(_STEPS, key=lambda step: abs(seconds / step - 5))
    marks = np.arange(0, seconds * 0.97, step)
    spans = [
        Markup('<span style="left:{:.3f}%">{}</span>').format(100 * mark / seconds, _time(mark, seconds))
        for mark in marks
    ]
    return Markup().join(spans)


def _time(mark: float, seconds: float) -> str:
    return f"{int(mark) // 60}:{int(mark) % 60:02d}" if seconds >= 60 else f"{mark:g} s"
