"""The frames of an mp3 file, counted: its header may tell no length, a wrong one, or that of its first part."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import BinaryIO

from sequnet_pl.audio.link import Link, Outline, read_at

_BITRATES = {  # kbit/s by (first version of MPEG, layer)
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}  # by bits of version
_BUFFER = 1 << 20
_DELAY = 4 * 1152
_AGREE = 3  # frames in a row that are no accident


@dataclass(frozen=True)
class Frame:
    """What the second and third byte of a frame say."""

    length: int
    samples: int
    rate: int
    kind: tuple[int, int]
    """Bits of version and layer: the same throughout a stream."""


@dataclass
class Count:
    """The frames of a file."""

    samples: int = 0
    rate: int = 0
    begin: int = 0
    """Where the first frame of audio is."""
    one_stream: bool = True
    """Whether all frames are of one kind, and nothing lies between them."""
    cut: bool = False
    """Whether the last frame goes on behind the file's end."""
    told: int | None = None
    """Samples that a header in the first frame tells of (Xing, Info or VBRI)."""


def outline(file: BinaryIO, size: int) -> Outline | None:
    """What the frames say; None where there are none."""
    found = count(file, size)
    if not found.samples:
        return None
    # at least: decoders take off the delay that encoders add
    seconds, present = (found.samples - _DELAY) / found.rate, None if found.cut else 1.0
    if found.one_stream and found.told and found.told > found.samples:
        present = found.samples / found.told
    if found.one_stream and 0 < (found.told or 0) < found.samples - _DELAY:  # both decoders believe this header
        return Outline((Link(found.begin, size),), seconds, present, by_ffmpeg=True)
    return Outline(seconds=seconds, present=present, by_ffmpeg=not found.one_stream)


def count(file: BinaryIO, size: int) -> Count:
    """Count the frames, without decoding them; seconds of another rate count as those of the first."""
    table, window = _table(), _Window(file, size)
    found = Count()
    position = _first(window, 0)
    kind: tuple[int, int, bool] | None = None
    while position is not None:
        head = window.at(position, 4)
        frame = table.get(head[1:3]) if head[:1] == b"\xff" and len(head) == 4 else None
        if frame is None:
            after = _after_tag(window, position)
            resumed = _first(window, position if after is None else after)
            found.one_stream &= resumed is None
            position = resumed
            continue
        if position + frame.length > size:
            found.cut = True
            break
        here = (frame.rate, frame.kind[1], head[3] >> 6 == 3)
        if kind is None:
            kind, found.rate = here, frame.rate
            told = _told(window.at(position, frame.length), frame)
            if told is not None:
                found.told, found.begin = told, position + frame.length
                position += frame.length
                continue
        found.one_stream &= here == kind
        found.samples += frame.samples if frame.rate == found.rate else frame.samples * found.rate // frame.rate
        position += frame.length
    return found


class _Window:
    """Bytes of a file in large pieces."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self.size = file, size
        self._begin, self._bytes = 0, b""

    def at(self, position: int, count: int) -> bytes:
        offset = position - self._begin
        if offset < 0 or offset + count > len(self._bytes):
            self._begin, self._bytes, offset = position, read_at(self._file, position, max(count, _BUFFER)), 0
        return self._bytes[offset : offset + count]


def _first(window: _Window, position: int) -> int | None:
    """Where the next frame begins that others follow; None where none does."""
    table = _table()
    while position < window.size:
        if (after := _after_tag(window, position)) is not None:
            position = after
            continue
        chunk = window.at(position, _BUFFER)
        tag = min((at for mark in (b"ID3", b"APETAGEX") if (at := chunk.find(mark)) >= 0), default=len(chunk))
        at = chunk.find(b"\xff")
        while 0 <= at < tag:
            if chunk[at + 1 : at + 3] in table and _agree(window, position + at):
                return position + at
            at = chunk.find(b"\xff", at + 1)
        position += max(1, tag)
    return None


def _agree(window: _Window, position: int) -> bool:
    """Whether frames of one kind follow each other, or the file ends with one."""
    kinds: set[tuple[int, tuple[int, int]]] = set()
    for number in range(_AGREE):
        head = window.at(position, 4)
        frame = _table().get(head[1:3]) if head[:1] == b"\xff" else None
        if frame is None:
            return number > 0 and (position >= window.size or _after_tag(window, position) is not None)
        kinds.add((frame.rate, frame.kind))
        position += frame.length
        if position > window.size:
            return number > 0
    return len(kinds) == 1


def _after_tag(window: _Window, position: int) -> int | None:
    """Where a tag ends that begins here; None where there is none."""
    head = window.at(position, 32)
    if head[:3] == b"ID3" and len(head) >= 10 and max(head[6:10]) < 128:
        length = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
        return position + 10 + length + (10 if head[5] & 16 else 0)
    if head[:3] == b"TAG" and not (window.at(position + 128, 1) and window.at(position + 128, 1) != b"\xff"):
        return position + 128
    if head[:8] == b"APETAGEX" and len(head) == 32:
        return position + 32 + (int.from_bytes(head[12:16], "little") if head[23] & 32 else 0)
    return None


def _told(content: bytes, frame: Frame) -> int | None:
    """The samples that the header in a first frame tells of, 0 where it leaves them out; None without a header."""
    mono = content[3] >> 6 == 3
    side = (17 if mono else 32) if frame.kind[0] == 3 else (9 if mono else 17)
    for at, mark in ((4 + side, (b"Xing", b"Info")), (36, (b"VBRI",))):
        if content[at : at + 4] in mark:
            vbri = mark == (b"VBRI",)
            field = content[at + 14 : at + 18] if vbri else content[at + 8 : at + 12]
            known = vbri or (content[at + 7 : at + 8] and content[at + 7] & 1)
            return int.from_bytes(field, "big") * frame.samples if known else 0
    return None


@cache
def _table() -> dict[bytes, Frame]:
    return dict(_frames())


def _frames() -> Iterator[tuple[bytes, Frame]]:
    """Every frame that there can be, by its second and third byte."""
    for second in range(0xE0, 0x100):
        version, layer = second >> 3 & 3, 4 - (second >> 1 & 3)
        if version == 1 or layer == 4:
            continue
        samples = 384 if layer == 1 else 1152 if layer == 2 or version == 3 else 576
        for third in range(0x10, 0xF0):
            if third >> 2 & 3 == 3:
                continue
            rate, padding = _RATES[version][third >> 2 & 3], third >> 1 & 1
            bits = samples * 1000 * _BITRATES[version == 3, layer][(third >> 4) - 1]
            length = (bits // 32 // rate + padding) * 4 if layer == 1 else bits // 8 // rate + padding
            yield bytes((second, third)), Frame(length, samples, rate, (version, layer))
