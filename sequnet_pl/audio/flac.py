"""The length of a FLAC file by the numbers of its first and last frame, since its header may tell none or another."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from sequnet_pl.audio.link import Link, Outline, read_at

MAGIC = b"fLaC"
_START = re.compile(rb"fLaC[\x00\x80]\0\0\x22")
_TAIL = 1 << 19  # bytes, more than a frame has
_LONGEST = 16  # bytes of a frame's header


@dataclass(frozen=True)
class _Frame:
    first: int
    """Number of its first sample."""
    samples: int
    kind: tuple[int, int, int, int]
    """Bits that all frames of a stream share."""


def outline(file: BinaryIO, begin: int, size: int) -> Outline:
    """For ffmpeg where header and frames do not agree: libsndfile stops where the header says, or loses a block."""
    fixed = int.from_bytes(read_at(file, begin + 8, 2), "big")
    fields = int.from_bytes(read_at(file, begin + 18, 8), "big")
    rate, told = fields >> 44, fields & (2**36 - 1)
    first = _parse(read_at(file, _after_metadata(file, begin), _LONGEST), fixed)
    tail = read_at(file, max(begin, size - _TAIL), _TAIL)
    last, at = _last(tail, fixed)
    if first is None or last is None or not rate:
        return Outline()
    held = last.first + last.samples - first.first
    agrees = held == told and last.kind == first.kind
    # Two of the same length agree as well; of large ones the decoder will leave much unread.
    if (not agrees or size <= _TAIL) and (joints := list(_joints(file, begin, size))):
        bounds = zip([begin, *joints], [*joints, size], strict=True)
        return Outline(tuple(Link(*bound) for bound in bounds))
    if agrees:
        return Outline(seconds=told / rate)
    if _checksum(tail[at:], 0x8005, 16) == 0:  # the last frame is whole: what the header tells is wrong
        return Outline(seconds=held / rate, by_ffmpeg=True)
    if told in (0, 2**36 - 1):  # made in a pipe
        return Outline(present=None, by_ffmpeg=True)
    return Outline(seconds=told / rate, by_ffmpeg=True)


def _joints(file: BinaryIO, begin: int, size: int) -> Iterator[int]:
    """Where further files begin that were joined to the first."""
    position = begin + len(MAGIC)
    while position < size:
        chunk = read_at(file, position, _TAIL)
        for at in (found.start() for found in _START.finditer(chunk)):
            yield position + at
        position += max(1, len(chunk) - _LONGEST)


def _after_metadata(file: BinaryIO, begin: int) -> int:
    position = begin + len(MAGIC)
    while True:
        head = read_at(file, position, 4)
        position += 4 + int.from_bytes(head[1:], "big")
        if len(head) < 4 or head[0] & 0x80:
            return position


def _last(tail: bytes, fixed: int) -> tuple[_Frame | None, int]:
    """The last frame that begins in these bytes, and where."""
    at = len(tail)
    while (at := tail.rfind(b"\xff", 0, at)) >= 0:
        if frame := _parse(tail[at : at + _LONGEST], fixed):
            return frame, at
    return None, 0


def _parse(head: bytes, fixed: int) -> _Frame | None:
    """A frame by its header, which ends in a checksum; all but the last have `fixed` samples, unless they vary."""
    if len(head) < 6 or head[0] != 0xFF or head[1] & 0xFE != 0xF8 or head[3] & 1:
        return None
    size_code, rate_code = head[2] >> 4, head[2] & 15
    count = 8 - (head[4] ^ 0xFF).bit_length()  # ones at the top of the first byte of the number
    if count == 1 or count > 7 or not size_code or rate_code == 15:
        return None
    at = 4 + max(1, count)
    number = head[4] & (0x7F >> count)
    for byte in head[5:at]:
        number = number << 6 | byte & 0x3F
    extra = {6: 1, 7: 2}.get(size_code, 0)
    samples = int.from_bytes(head[at : at + extra], "big") + 1
    if not extra:
        samples = 192 if size_code == 1 else 576 << size_code - 2 if size_code < 6 else 256 << size_code - 8
    at += extra + {12: 1, 13: 2, 14: 2}.get(rate_code, 0)
    if at >= len(head) or _checksum(head[:at], 0x07, 8) != head[at]:
        return None
    varies = head[1] & 1
    channels = (head[3] >> 4) + 1 if head[3] >> 4 < 8 else 2  # codes from 8 on are ways to join two
    return _Frame(number if varies else number * fixed, samples, (head[1], rate_code, channels, head[3] & 15))


def _checksum(content: bytes, polynomial: int, bits: int) -> int:
    """The remainder of a division; 0 where the content ends with the checksum of what comes before."""
    crc, top, mask = 0, 1 << bits - 1, (1 << bits) - 1
    for byte in content:
        crc ^= byte << bits - 8
        for _ in range(8):
            crc = (crc << 1 ^ polynomial if crc & top else crc << 1) & mask
    return crc
