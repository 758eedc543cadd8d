"""Live output of samples: to a pipe, or to the sound device."""

import sys
from importlib import import_module
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from sequnet_pl.audio.files import to_pcm, wav_header
from sequnet_pl.errors import UserError


class Pipe:
    """Signed 16-bit little-endian samples to a stream, optionally after a wav header of unknown length."""

    def __init__(self, stream: BinaryIO, rate: int, header: bool) -> None:
        self._stream = stream
        if header:
            stream.write(wav_header(rate))
            stream.flush()

    def write(self, codes: NDArray[np.uint8]) -> None:
        """Write the next samples (T,). Raises BrokenPipeError if the reader has ended."""
        self._stream.write(to_pcm(codes))
        self._stream.flush()

    def close(self) -> None:
        """Do nothing: the stream is its owner's."""


class Speaker:
    """The sound device. Raises UserError without one, or without the package that uses it."""

    def __init__(self, rate: int) -> None:
        try:
            sounddevice: Any = import_module("sounddevice")  # an extra: most machines that sample are mute
        except ImportError as error:
            raise UserError('--play needs another package: pip install "sequnet_pl[play]"') from error
        except OSError as error:  # the package is there, the PortAudio library is not
            raise UserError(f"--play cannot use the sound device: {error}; use --stdout with a player") from error
        try:
            self._stream: Any = sounddevice.RawOutputStream(samplerate=rate, channels=1, dtype="int16")
            self._stream.start()
        except sounddevice.PortAudioError as error:
            raise UserError(f"--play cannot open a sound device: {error}; use --stdout with a player") from error

    def write(self, codes: NDArray[np.uint8]) -> None:
        """Play the next samples (T,); waits while the device's buffer is full."""
        self._stream.write(to_pcm(codes))

    def close(self) -> None:
        """Wait until all samples are played."""
        self._stream.stop()
        self._stream.close()


def live_output(stdout: bool | str, play: bool, rate: int) -> Pipe | Speaker | None:
    """Return the chosen output: a pipe, `raw` or with a header, or the sound device; None for neither."""
    if stdout:
        return Pipe(sys.stdout.buffer, rate, header=stdout != "raw")
    return Speaker(rate) if play else None
