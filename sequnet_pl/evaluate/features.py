"""Features of clips, and sums over their frames, so that a set of clips can be resampled at once.

Letters: N clips, T samples, F frames, M mel bands, S scalar features.
"""

from dataclasses import dataclass, fields
from functools import cache
from typing import Self

import librosa
import numpy as np
from numpy.typing import NDArray
from scipy.stats import entropy

from sequnet_pl.audio import mulaw
from sequnet_pl.report.clip import SILENT_BELOW, clipped_share, level, loop_score

WINDOW = 0.064
"""Seconds of a frame: long enough to separate the partials of speech and music."""
HOP = 0.016
"""Seconds between frames."""
SHORTEST = 0.256
"""Seconds a clip must have: the window of the chroma, whose semitones need four times the resolution."""
MELS = 40
"""Mel bands; so few that a handful of short clips has many more frames than there are entries in a mean."""
FLOOR = -80.0
"""The lowest level of a band that is distinguished, in dB below a full-scale sine; mu-law noise is about there."""
_LOWEST = 10 ** (FLOOR / 10)
RIDGE = 1.0
"""Added to the variances of log-mel bands, in dB²: keeps the covariance of few clips, or of a band that is always
silent, away from singular. Differences in spread below a decibel so count for nothing."""


@dataclass(frozen=True)
class Measure:
    """Measures to compare clips: a distance between two sets of clips, 0 for identical ones, or a number per clip."""

    key: str  # in files
    name: str
    unit: str
    meaning: str
    least: float = 0.0
    """Smallest standard deviation of real clips that distances are divided by, in `unit`; for a number per clip."""


SCALARS = (
    Measure("spectral_centroid", "spectral centroid", "Hz", "Centre of gravity of the spectrum: how bright it is.", 10),
    Measure("spectral_flatness", "spectral flatness", "dB", "Noise is near 0 dB, tones are far below.", 0.1),
    Measure("spectral_rolloff", "spectral roll-off", "Hz", "85% of the spectrum's magnitude lies below it.", 10),
    Measure("onset_rate", "onset rate", "1/s", "Notes, syllables or knocks that begin in a second.", 0.1),
    Measure("chroma_entropy", "chroma entropy", "bits", "One pitch class alone has 0, all twelve alike 3.58.", 0.01),
    Measure("level", "level", "dBFS", "Root mean square of the samples.", 0.1),
    Measure(
        "loudness_range", "loudness range", "dB", "From the 10th to the 95th percentile of the frames' level.", 0.1
    ),
    Measure("silence_share", "silence share", "", f"Share of frames below {SILENT_BELOW:.0f} dBFS.", 0.01),
    Measure("clipping_share", "clipping share", "", "Share of samples at full scale.", 0.01),
    Measure("loop_score", "loop score", "", "1: the last second repeats what came just before it.", 0.01),
)


@dataclass(frozen=True, eq=False)
class Features:
    """Features of clips of one length; the first axis of every array is the clips, so that rows can be resampled."""

    codes: NDArray[np.float64]  # how often each code occurs, (N, 256)
    power: NDArray[np.float64]  # mean power in mel bands, 1 for a full-scale sine, (N, M)
    frames: NDArray[np.float64]  # number of frames, (N,)
    sums: NDArray[np.float64]  # of log-mel frames in dB, (N, M)
    products: NDArray[np.float64]  # sums of the outer products of log-mel frames, (N, M, M)
    scalars: NDArray[np.float64]  # SCALARS, (N, S); NaN if a clip has none, as silence has no spectral centroid

    def take(self, clips: NDArray[np.integer]) -> Self:
        """The features of some clips, any of them as often as it is named."""
        return type(self)(*(getattr(self, field.name)[clips] for field in fields(self)))

    def histogram(self) -> NDArray[np.float64]:
        """Share of each code, (256,)."""
        counts = self.codes.sum(axis=0)
        return counts / counts.sum()

    def spectrum(self) -> NDArray[np.float64]:
        """Long-term spectrum: mean power of each band in dB, (M,)."""
        return librosa.power_to_db(self.power.mean(axis=0), amin=_LOWEST, top_db=None)

    def gaussian(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean (M,) in dB and covariance (M, M) in dB² of all log-mel frames, RIDGE included."""
        frames = self.frames.sum()
        mean = self.sums.sum(axis=0) / frames
        return mean, self.products.sum(axis=0) / frames - np.outer(mean, mean) + RIDGE * np.eye(MELS)


def features(clips: NDArray[np.uint8], rate: int) -> Features:
    """Measure clips, codes (N, T) at `rate` Hz of SHORTEST or more."""
    rows = [_of_clip(codes, rate) for codes in clips]
    return Features(*(np.stack(column) for column in zip(*rows, strict=True)))


def mel_frequencies(rate: int) -> NDArray[np.float64]:
    """Centres of the mel bands in Hz, (M,)."""
    return librosa.mel_frequencies(MELS + 2, fmax=rate / 2)[1:-1]


@cache
def _filters(rate: int) -> tuple[NDArray[np.float32], NDArray[np.float32], float]:
    """Mel filters for power, 1 for a full-scale sine, chroma filters, and the power of FLOOR in a bin."""
    size = round(WINDOW * rate)
    full_scale = (librosa.filters.get_window("hann", size).sum() / 2) ** 2
    mel = librosa.filters.mel(sr=rate, n_fft=size, n_mels=MELS, norm=None) / full_scale
    # tuning: an estimate from a short clip is a guess, and would differ from clip to clip
    return mel, librosa.filters.chroma(sr=rate, n_fft=round(SHORTEST * rate), tuning=0.0), full_scale * _LOWEST


def _of_clip(codes: NDArray[np.uint8], rate: int) -> tuple[NDArray[np.float64], ...]:
    """One row of each array of Features."""
    samples = mulaw.decode(codes)
    mel, _, _ = _filters(rate)
    spectra = librosa.stft(samples, n_fft=round(WINDOW * rate), hop_length=round(HOP * rate), center=False)
    magnitude = np.abs(spectra)
    power = (mel @ magnitude**2).astype(np.float64)
    log_mel = librosa.power_to_db(power, amin=_LOWEST, top_db=None)  # (M, F)
    return (
        np.bincount(codes, minlength=mulaw.CLASSES).astype(float),
        power.mean(axis=1),
        np.array(log_mel.shape[1], np.float64),
        log_mel.sum(axis=1),
        log_mel @ log_mel.T,
        _scalars(samples, magnitude, log_mel, rate),
    )


def _scalars(
    samples: NDArray[np.float32], magnitude: NDArray[np.float32], log_mel: NDArray[np.float64], rate: int
) -> NDArray[np.float64]:
    """The features in the order of SCALARS. Of the spectral ones, the mean over the frames that are not silent."""
    size, hop, long = round(WINDOW * rate), round(HOP * rate), round(SHORTEST * rate)
    _, chroma, floor = _filters(rate)
    rms = librosa.feature.rms(y=samples, frame_length=size, hop_length=hop, center=False)[0]
    levels = librosa.amplitude_to_db(rms, ref=1.0, amin=1e-5, top_db=None)
    loud = levels >= SILENT_BELOW
    centroid = flatness = rolloff = chroma_entropy = np.nan
    if loud.any():
        frames = magnitude[:, loud]
        centroid = librosa.feature.spectral_centroid(S=frames, sr=rate).mean()
        flatness = 10 * np.log10(librosa.feature.spectral_flatness(S=frames, amin=floor)).mean()
        rolloff = librosa.feature.spectral_rolloff(S=frames, sr=rate).mean()
        spectra = librosa.stft(samples, n_fft=long, hop_length=long // 4, center=False)
        pitch_classes = chroma @ (np.abs(spectra) ** 2).sum(axis=1)
        chroma_entropy = entropy(pitch_classes.astype(np.float64), base=2)
    envelope = librosa.onset.onset_strength(S=log_mel, sr=rate, hop_length=hop)
    # EBU Tech 3342 takes these percentiles too, but of windows of three seconds, as long as most clips
    low, high = np.percentile(np.maximum(levels, SILENT_BELOW), (10, 95))
    onset_rate = _onset_count(envelope, rate / hop) * rate / len(samples)
    spectral = (centroid, flatness, rolloff, onset_rate, chroma_entropy)
    shares = (1 - loud.mean(), clipped_share(samples), loop_score(samples, rate))
    return np.array([*spectral, level(samples), high - low, *shares])


def _onset_count(envelope: NDArray[np.float64], rate: float) -> int:
    """Count the onsets in their strength (F,), `rate` frames a second, as librosa.onset.onset_detect does.

    That function is compiled when librosa is first imported, and two processes that do so at once leave a compiled file
    on disk that makes all later calls crash.
    """
    strength = envelope - envelope.min()
    if not strength.any():
        return 0
    strength /= strength.max()
    near, around = int(0.03 * rate), int(0.1 * rate)
    count = frame = 0
    while frame < len(strength):
        highest = strength[max(0, frame - near) : frame + 1].max()
        mean = strength[max(0, frame - around) : frame + around + 1].mean()
        is_onset = strength[frame] == highest and strength[frame] >= mean + 0.07
        count += is_onset
        frame += near + 1 if is_onset else 1
    return count
