"""What a file's bytes say of its audio before it is decoded: where it lies, how long it is, and who reads all of it."""

import os
from pathlib import Path
from typing import BinaryIO

from sequnet_pl.audio import chunks, flac, mp3, ogg
from sequnet_pl.audio.link import Outline, read_at


def outline(file: BinaryIO, path: Path) -> Outline:
    """The outline of an open file; a plain one where nothing is known of its kind."""
    size = os.fstat(file.fileno()).st_size
    magic = read_at(file, 0, 4)
    if magic == ogg.MAGIC:
        return ogg.outline(file, size)
    tagged = _after_id3(file) if magic[:3] == b"ID3" else 0
    if read_at(file, tagged, 4) == flac.MAGIC:
        return flac.outline(file, tagged, size)
    if tagged or path.suffix.lower() == ".mp3" or _is_frame(magic):
        return chunks.outline(file, size) or mp3.outline(file, size) or Outline()
    return chunks.outline(file, size) or Outline()


def _after_id3(file: BinaryIO) -> int:
    a, b, c, d = read_at(file, 6, 4).ljust(4, b"\0")
    return 10 + (a << 21 | b << 14 | c << 7 | d)


def _is_frame(magic: bytes) -> bool:
    """Whether a file begins as mp3 frames do; those of AAC name no layer."""
    return magic[:1] == b"\xff" and len(magic) > 1 and magic[1] & 0xE0 == 0xE0 and magic[1] & 6 != 0
