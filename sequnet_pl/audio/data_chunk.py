"""The chunk of a container that holds its samples: where it is, and a header that tells the truth about it."""

import struct
from typing import BinaryIO, NamedTuple

from sequnet_pl.audio.forms import W64, WAV, Form, form_of
from sequnet_pl.audio.link import read_at

LONGEST = 1 << 46
"""Bytes; more is no length of a recording."""
_NEAR = 1 << 16


class DataChunk(NamedTuple):
    """The samples of a container that begins at `begin`."""

    form: Form
    begin: int
    field: int
    """Position of the data chunk's size."""
    start: int
    claimed: int
    format: bytes = b""
    """The content of `fmt `."""
    before: tuple[tuple[int, int], ...] = ()
    """Where each chunk before it begins, and where the next one does."""
    long: bytes = b""
    """The content of `ds64`."""

    @property
    def is_found(self) -> bool:
        """Whether libsndfile finds all of it: it wants odd chunks filled up, and believes `ds64` first of all."""
        filled = all((there - self.begin) % self.form.even == 0 for _, there in self.before)
        return filled and (not self.long or int.from_bytes(self.long[8:16], "little") == self.claimed)

    def container_end(self, file: BinaryIO) -> int | None:
        """Where the container ends by its header; None where that does not say."""
        if not self.form.data or self.form.lead == 4:  # AU and CAF files
            return None
        if self.form is W64:
            size = int.from_bytes(read_at(file, self.begin + 16, 8), "little") - 8
        elif self.long:
            size = int.from_bytes(self.long[:8], "little")
        else:
            (size,) = struct.unpack(self.form.size, read_at(file, self.begin + 4, 4))
        return None if is_unknown(size) else self.begin + 8 + size


def data_chunk(file: BinaryIO, begin: int, size: int, after: int) -> DataChunk | None:
    """The first data chunk from `after` on of the container that begins at `begin`, and what comes before."""
    if (head := read_at(file, begin, 12))[:4] in (b".snd", b"dns.") and len(head) == 12:
        start, claimed = struct.unpack(">II" if head[:1] == b"." else "<II", head[4:])
        form = Form(">I" if head[:1] == b"." else "<I", 4, b"")
        return DataChunk(form, begin, begin + 8, begin + start, claimed)
    form = form_of(file, begin)
    if form is None:
        return None
    long = form_bytes = b""
    position = begin + form.first
    before: list[tuple[int, int]] = []
    while position < size and (chunk := form.chunk(file, position)) is not None:
        name, length = chunk
        content = position + form.head
        if name == form.data and position >= after:
            if length == 2**32 - 1 and len(long) >= 16:
                length = int.from_bytes(long[8:16], "little")
            field, start = position + form.identifier, content + form.lead
            return DataChunk(form, begin, field, start, length - form.lead, form_bytes, tuple(before), long)
        if not 0 <= length <= size - content:
            return None
        if name == b"ds64":
            long = read_at(file, content, min(length, 64))
        if name == b"fmt ":
            form_bytes = read_at(file, content, min(length, 1 << 12))
        following = next_chunk(file, form, begin, content + length)
        if name != form.data:
            before.append((position, following))
        position = following
    return None


def next_chunk(file: BinaryIO, form: Form, begin: int, end: int) -> int:
    """Where the chunk after one that ends here begins: some writers forget to fill up to an even position."""
    filled = begin - (begin - end) // form.even * form.even
    return filled if filled < 1 << 62 and not read_at(file, end, filled - end).strip(b"\0") else end


def is_unknown(claimed: int) -> bool:
    """Whether a size stands for one that was not known when it was written."""
    return claimed <= 0 or claimed >= LONGEST or any(abs(claimed - limit) < _NEAR for limit in (2**31, 2**32))


def true_header(file: BinaryIO, data: DataChunk, end: int) -> bytes:
    """A header that tells the true length of the samples."""
    length = end - data.start
    form = data.form
    if form in (WAV, W64):
        body = struct.pack("<4sI", b"fmt ", len(data.format)) + data.format + bytes(len(data.format) % 2)
        if length < 2**32 - _NEAR:
            return (
                struct.pack("<4sI4s", b"RIFF", 12 + len(body) + length, b"WAVE")
                + body
                + struct.pack("<4sI", b"data", length)
            )
        long = struct.pack("<4sIQQQI", b"ds64", 28, 48 + len(body) + length, length, 0, 0)
        return (
            struct.pack("<4sI4s", b"RF64", 2**32 - 1, b"WAVE") + long + body + struct.pack("<4sI", b"data", 2**32 - 1)
        )
    header = read_at(file, data.begin, form.first)
    for here, there in data.before:
        header += read_at(file, here, there - here) + bytes((here - there) % form.even)
    known = min(length + form.lead, 2 ** (8 * struct.calcsize(form.size)) - 2)
    header += read_at(file, data.field - form.identifier, form.identifier) + struct.pack(form.size, known)
    after = data.field + struct.calcsize(form.size)
    return header + read_at(file, after, data.start - after)
