"""How wav, RF64, W64, AIFF and CAF files are made of chunks, and by what each is known."""

import struct
from dataclasses import dataclass
from typing import BinaryIO

from sequnet_pl.audio.link import read_at

_W64_RIFF = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"
_W64_TAIL = b"\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"  # of the identifiers of what wav files have too


@dataclass(frozen=True)
class Form:
    """How the chunks of a container are written."""

    size: str
    """Of a chunk, for struct."""
    first: int
    """Offset of the first chunk."""
    data: bytes
    lead: int = 0
    """Bytes of the data chunk before its samples."""
    identifier: int = 4
    even: int = 2
    """Chunks begin at multiples of this."""
    inclusive: bool = False
    """Whether a size counts the chunk's own head."""

    @property
    def head(self) -> int:
        """Bytes before the content of a chunk."""
        return self.identifier + struct.calcsize(self.size)

    def chunk(self, file: BinaryIO, position: int) -> tuple[bytes, int] | None:
        """Name and size of the content of a chunk; None where there is none."""
        head = read_at(file, position, self.head)
        name = head[:4]
        proper = self.identifier == 4 or head[4:16] == _W64_TAIL
        if len(head) < self.head or not proper or not all(32 <= byte < 127 for byte in name):
            return None
        (size,) = struct.unpack(self.size, head[self.identifier :])
        return name, size - (self.head if self.inclusive else 0)


WAV = Form("<I", 12, b"data")
W64 = Form("<Q", 40, b"data", identifier=16, even=8, inclusive=True)
_CAF = Form(">Q", 8, b"data", lead=4, even=1)
_FORMS: dict[tuple[bytes, bytes], Form] = {
    (b"RIFF", b"WAVE"): WAV,
    (b"RF64", b"WAVE"): WAV,
    (b"BW64", b"WAVE"): WAV,
    (b"RIFX", b"WAVE"): Form(">I", 12, b"data"),
    (b"FORM", b"AIFF"): Form(">I", 12, b"SSND", lead=8),
    (b"FORM", b"AIFC"): Form(">I", 12, b"SSND", lead=8),
}


def is_container(file: BinaryIO, position: int) -> bool:
    """Whether one of them begins there, or an AU file, which has no chunks."""
    return read_at(file, position, 4) in (b".snd", b"dns.") or form_of(file, position) is not None


def form_of(file: BinaryIO, begin: int) -> Form | None:
    """The form of the container that begins there; None where none does."""
    head = read_at(file, begin, 40)
    if head[:16] == _W64_RIFF:
        return W64
    if head[:4] == b"caff":
        return _CAF
    return _FORMS.get((head[:4], head[8:12]))
