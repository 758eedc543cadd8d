"""Any audio file to blocks of frames at its own rate, in bounded memory: by soundfile, or ffmpeg where that cannot.

A file is as long as it decodes, whatever its header says. T time (frames), C channels.
"""

from collections.abc import Iterator
from enum import Enum, auto
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from sequnet_pl.audio import ffmpeg as by_ffmpeg
from sequnet_pl.audio import sound
from sequnet_pl.audio.ffmpeg import ffmpeg as ffmpeg
from sequnet_pl.audio.link import Link, Outline, View
from sequnet_pl.audio.opening import Unavailable, open_regular
from sequnet_pl.audio.outline import outline
from sequnet_pl.errors import UserError

FFMPEG_SUFFIXES = frozenset({".m4a", ".m4b", ".aac", ".mp4", ".webm", ".mka"})
"""Files that soundfile cannot open, so that ffmpeg is asked first."""
REVISION = 3
"""Of what these modules make of a file. The first believed what headers say of the length, the second did not know odd
chunks that are not filled up, lengths in `ds64` that are not true, chunks after the samples of W64 files."""


class Undecodable(UserError):
    """Nothing of a file can be used. `reason` says why, without the file's name."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"cannot read {path}: {reason}")
        self.reason = reason


class Damaged(UserError):
    """A file was used as far as it decodes; raised after its last good block. `reason` says where it went wrong."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path} is damaged: {reason}")
        self.reason = reason


class Unfinished(Exception):
    """A decoder stopped after `seconds`, and another may go further: begin again, and discard what came."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"stopped at {seconds} s")
        self.seconds = seconds


class Decoder(Enum):
    """Who reads a file, in the order in which they are asked; what two of them give is never put together."""

    QUICK = auto()
    """soundfile, and ffmpeg where it must."""
    FFMPEG = auto()
    """Where the first stopped early."""
    LAST = auto()
    """The first again, as far as it comes, since ffmpeg came less far."""


def frames(
    path: Path, start: float = 0.0, decoder: Decoder = Decoder.QUICK, least: float = 0.0
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Yield (rate in Hz, frames (T, C)) block by block, from `start` seconds on; joined files may change their rate.

    Raises Undecodable where the file gives nothing, Damaged after the last block of one that ends before its time, and
    Unfinished where the next decoder is to be asked: so does ffmpeg where it comes less far than `least` seconds.
    """
    with _opened(path) as file:
        reading = _Reading(path, file, _known(path, file), decoder, start)
        given = False
        try:
            for rate, begin, block in reading.blocks():
                late = block[max(0, round((start - begin) * rate)) :]
                if len(late):
                    given = True
                    yield rate, late
        except sound.Stopped as stopped:
            if given:
                raise Unfinished(reading.end) from stopped
        else:
            reading.judge(given, least)
            return
    yield from frames(path, start, Decoder.FFMPEG)  # nothing came yet


def decoders() -> str:
    """What decides what a file decodes to: `REVISION`, then the versions of the decoders."""
    return f"{REVISION}, libsndfile {sf.__libsndfile_version__}, ffmpeg {by_ffmpeg.version() or 'missing'}"


def is_read_anew(path: Path) -> bool:
    """Whether a file is of a kind that a former revision did not read whole, or not as what it is, by its headers."""
    try:
        with _opened(path) as file:
            known = _known(path, file)
            if path.suffix.lower() in FFMPEG_SUFFIXES:
                return not known.plain or by_ffmpeg.audio_tracks(path) > 1
            return not known.plain or _Reading(path, file, known, Decoder.QUICK, 0.0).is_by_ffmpeg()
    except (Undecodable, Unavailable):
        return False


def _opened(path: Path) -> BinaryIO:
    file = open_regular(path)
    try:
        if file.read(1):
            return file
    except OSError as error:
        file.close()
        raise Unavailable(path, error.strerror or str(error)) from error
    file.close()
    raise Undecodable(path, "the file is empty")


def _known(path: Path, file: BinaryIO) -> Outline:
    try:
        return outline(file, path)
    except OSError as error:
        raise Unavailable(path, error.strerror or str(error)) from error


class _Reading:
    """One decoder's way through a file."""

    def __init__(self, path: Path, file: BinaryIO, known: Outline, decoder: Decoder, start: float) -> None:
        self._path, self._file, self._known, self._decoder, self._start = path, file, known, decoder, start
        self._problem = ""
        self._last_begin = 0.0  # of the last link
        self.end = 0.0
        """Seconds up to which it came."""

    def blocks(self) -> Iterator[tuple[int, float, NDArray[np.float32]]]:
        """Yield (rate, seconds at which it begins, block). Raises sound.Stopped where ffmpeg should be asked."""
        for link in self._known.links or (None,):
            self._last_begin = self.end
            view = None if link is None else View(self._file, link)
            opened = self._soundfile(view)
            try:
                if opened is None:
                    for rate, block in by_ffmpeg.blocks(self._path, view):
                        yield self._placed(rate, block)
                else:
                    yield from self._by_soundfile(opened, link)
            except by_ffmpeg.Refused as error:
                self._problem = str(error)
            except sound.Stopped as stopped:
                if opened is not None and self._decoder is Decoder.QUICK:
                    raise
                self._problem = str(stopped)

    def _soundfile(self, view: View | None) -> sf.SoundFile | None:
        """The file or a view of it, opened; None where it is ffmpeg's."""
        known = self._known
        if self._decoder is Decoder.FFMPEG or known.by_ffmpeg or self._path.suffix.lower() in FFMPEG_SUFFIXES:
            return None
        opened = sound.open_sound(view or self._file)
        if opened is not None and view is None and _falls_short(opened.frames / opened.samplerate, known.seconds):
            opened.close()
            return None
        return opened

    def is_by_ffmpeg(self) -> bool:
        """Whether soundfile would stop before the end of a plain file, or cannot open it."""
        opened = self._soundfile(None)
        if opened is not None:
            opened.close()
        return opened is None

    def _by_soundfile(
        self, opened: sf.SoundFile, link: Link | None
    ) -> Iterator[tuple[int, float, NDArray[np.float32]]]:
        with opened:
            begin = self.end
            self.end += sound.go_to(opened, 0.0 if self._known.links else self._start)
            for block in sound.blocks(opened):
                yield self._placed(opened.samplerate, block)
            seconds = opened.frames / opened.samplerate
            if link is None and self._known.seconds is not None:
                seconds = self._known.seconds
            if _falls_short(self.end - begin, seconds) and opened.frames < sound.UNKNOWN:
                raise sound.Stopped(f"it ends at {self.end:.2f} s of {begin + seconds:.2f} s")
            if link is None and opened.format == "FLAC" and sound.unread(self._file):
                raise sound.Stopped("more follows")

    def _placed(self, rate: int, block: NDArray[np.float32]) -> tuple[int, float, NDArray[np.float32]]:
        begin, self.end = self.end, self.end + len(block) / rate
        return rate, begin, block

    def judge(self, given: bool, least: float) -> None:
        """Say what came of it, at the end: see `frames`."""
        if self._decoder is Decoder.FFMPEG and _falls_short(self.end, least):
            raise Unfinished(self.end)
        if not self.end:
            raise Undecodable(self._path, self._problem or "it holds no audio that can be decoded")
        if not given:
            raise Undecodable(self._path, f"it ends at {self.end:.2f} s, before the start at {self._start:g} s")
        known, got = self._known, f"{self.end:.2f} s"
        if known.present is None:
            raise Damaged(self._path, f"it ends at {got}, cut off")
        if known.present != 1.0:
            whole = self._last_begin + (self.end - self._last_begin) / known.present
            raise Damaged(self._path, f"it ends at {got} of {whole:.2f} s, cut off")
        if _falls_short(self.end, known.seconds):
            raise Damaged(self._path, f"it ends at {got} of {known.seconds:.2f} s, cut off or damaged")
        if self._problem and (known.seconds is None or least):
            raise Damaged(self._path, f"it ends at {got}, cut off or damaged ({self._problem})")
        if known.seconds is None and least and _falls_short(self.end, least + 0.2):  # two decoders stop there
            raise Damaged(self._path, f"it ends at {got}, cut off or damaged")


def _falls_short(seconds: float, expected: float | None) -> bool:
    """Whether that is less than was expected by more than decoders take for their delay."""
    return expected is not None and seconds < expected - 0.1
