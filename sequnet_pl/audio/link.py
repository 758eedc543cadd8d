"""Stretches of a file that a decoder reads as files of their own, and what is known of a file before it is decoded."""

import io
import os
from dataclasses import dataclass
from typing import BinaryIO


@dataclass(frozen=True)
class Link:
    """The bytes from `begin` to `end` of a file, behind a `header` that tells the truth about them."""

    begin: int
    end: int
    header: bytes = b""


@dataclass(frozen=True)
class Outline:
    """What a file's own bytes tell of its audio."""

    links: tuple[Link, ...] = ()
    """Decoded one after the other; empty where the file is read as it is."""
    seconds: float | None = None
    """What it holds, where that is known."""
    present: float | None = 1.0
    """Share of the whole recording that the file holds; None where it is cut off, and nothing tells of how much."""
    by_ffmpeg: bool = False
    """Whether soundfile would stop before its end."""

    @property
    def plain(self) -> bool:
        """Whether a decoder that trusts the header reads all of a whole file."""
        return not self.links and self.present == 1.0 and not self.by_ffmpeg


class View(io.RawIOBase):
    """A link of an open file as a file to read; the file is the caller's to close."""

    def __init__(self, file: BinaryIO, link: Link) -> None:
        super().__init__()
        self._file, self._link = file, link
        self._size = len(link.header) + link.end - link.begin
        self._position = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Position in bytes."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go to a position in bytes."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: memoryview, /) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Fill a buffer; gives the number of bytes, fewer at the end."""
        wanted = min(len(buffer), max(0, self._size - self._position))
        head = self._link.header[self._position : self._position + wanted]
        buffer[: len(head)] = head
        if rest := wanted - len(head):
            part = read_at(self._file, self._link.begin + self._position + len(head) - len(self._link.header), rest)
            buffer[len(head) : len(head) + len(part)] = part
            wanted = len(head) + len(part)
        self._position += wanted
        return wanted


def read_at(file: BinaryIO, position: int, count: int) -> bytes:
    """Up to `count` bytes from `position` on, wherever a decoder has left the file's own position."""
    return os.pread(file.fileno(), count, position)
