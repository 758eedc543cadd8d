"""A tone, files of it, and what is read of them."""

import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import soundfile as sf

from sequnet_pl.audio.decode import Channel, mono

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()


def sine(seconds: float, rate: int) -> np.ndarray:
    """A swelling 440 Hz tone (T,), so that a shift in time shows too."""
    time = np.arange(round(seconds * rate)) / rate
    return 0.5 * np.sin(2 * np.pi * 440 * time) * np.sin(np.pi * time / seconds) ** 2


def whole(path: Path, rate: int = 16_000, channel: Channel = "mix") -> np.ndarray:
    return np.concatenate(list(mono(path, rate, channel)))


def encode(source: Path, target: Path, *options: str) -> Path:
    subprocess.run([FFMPEG, "-nostdin", "-v", "error", "-y", "-i", str(source), *options, str(target)], check=True)
    return target


def made(folder: Path, name: str, *options: str, seconds: float = 2, rate: int = 44_100, channels: int = 1) -> bytes:
    """The content of a file of the tone that the ffmpeg program made."""
    sf.write(folder / "source.wav", np.stack([sine(seconds, rate)] * channels, axis=1), rate)
    return encode(folder / "source.wav", folder / name, *options).read_bytes()


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def assert_close(samples: np.ndarray, expected: np.ndarray, error: float, slack: int = 1) -> None:
    assert samples.dtype == np.float32 and samples.ndim == 1
    assert abs(len(samples) - len(expected)) <= slack
    length = min(len(samples), len(expected))
    assert np.abs(samples[:length] - expected[:length]).max() < error
