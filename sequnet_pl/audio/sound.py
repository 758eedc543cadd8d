"""What soundfile decodes, block by block.

T time (frames), C channels.
"""

import os
from collections.abc import Iterator
from typing import BinaryIO, cast

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from sequnet_pl.audio.link import View

BLOCK = 1 << 16
"""Frames decoded at a time."""
UNKNOWN = 1 << 62
"""No file has so many frames: libsndfile counts them where a header tells no number."""
_LEFT = 1 << 15  # bytes that a decoder may leave unread: tags, what it keeps in its buffer


class Stopped(Exception):
    """A decoder stopped before the end of what it reads, or found nothing; the message says why."""


def open_sound(file: BinaryIO | View) -> sf.SoundFile | None:
    """An open file, or a view of one, as sound; None where soundfile does not know what it is."""
    try:
        if isinstance(file, View):
            return sf.SoundFile(cast(BinaryIO, file))
        os.lseek(file.fileno(), 0, os.SEEK_SET)
        return sf.SoundFile(file.fileno(), closefd=False)  # so that one sees how far it was read
    except sf.LibsndfileError:
        return None


def go_to(sound: sf.SoundFile, seconds: float) -> float:
    """Go to a time; gives the time that follows, 0 where the file has to be decoded up to there."""
    first = round(seconds * sound.samplerate)
    if sound.frames >= UNKNOWN:
        return 0.0
    try:  # to the start too, which clears what opus and mp3 decoders hold from looking into the file
        return sound.seek(first if first < sound.frames else 0) / sound.samplerate
    except sf.LibsndfileError:
        return 0.0


def blocks(sound: sf.SoundFile) -> Iterator[NDArray[np.float32]]:
    """Yield blocks (T, C) to the end. Raises Stopped after the last where there must be more.

    Not `SoundFile.blocks`: that yields stale samples where a file ends early.
    """
    done = 0
    while True:
        try:
            block = sound.read(BLOCK, dtype="float32", always_2d=True)
        except sf.LibsndfileError as error:
            where = (
                f"it cannot be decoded from {done / sound.samplerate:.2f} s on" if done else "no audio can be decoded"
            )
            raise Stopped(where) from error
        if not len(block):
            break
        done += len(block)
        yield cast("NDArray[np.float32]", block)
    if not done:
        raise Stopped("it holds no audio that can be decoded")


def unread(file: BinaryIO) -> bool:
    """Whether a decoder that has come to its end has left some of the file."""
    return os.fstat(file.fileno()).st_size - os.lseek(file.fileno(), 0, os.SEEK_CUR) > _LEFT
