"""Where the samples of wav, RF64, W64, AIFF, CAF and AU files lie, whatever their headers say of the length.

A header may say too little (it was written before the file was finished, or its 32 bits did not suffice), nothing (0
and the largest numbers mean that the length was not known, as in a pipe), or too much (the file was cut off). So the
samples go as far as the header says only where well-formed chunks follow to the end of the file, or nothing.
"""

from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from sequnet_pl.audio.data_chunk import LONGEST, DataChunk, data_chunk, is_unknown, next_chunk, true_header
from sequnet_pl.audio.forms import W64, WAV, Form, is_container
from sequnet_pl.audio.link import Link, Outline, read_at

_TAIL = 1 << 22  # bytes at the end of a file where chunks are looked for
_ZEROS = 1 << 16
_JUNK = 0.1  # seconds; what is shorter, after a length that all sizes agree on, is no sound
_AFTER = {
    *(
        b"LIST",
        b"id3 ",
        b"ID3 ",
        b"bext",
        b"iXML",
        b"JUNK",
        b"junk",
        b"PAD ",
        b"cue ",
        b"smpl",
        b"inst",
        b"fact",
        b"PEAK",
    ),
    *(b"afsp", b"_PMX", b"axml", b"chna", b"acid", b"plst", b"umid"),
    *(b"NAME", b"AUTH", b"ANNO", b"(c) ", b"COMT", b"MARK", b"INST", b"APPL"),
}
"""Chunks that may be cut off without harm to the samples."""


def outline(file: BinaryIO, size: int) -> Outline | None:
    """Where the samples are; None where this is none of these containers, or one of a shape that only decoders know."""
    links: list[Link] = []
    present: float | None = 1.0
    plain = True
    begin, after = 0, 0
    while (data := data_chunk(file, begin, size, after)) is not None:
        lie, end, present, following = _extent(file, data, size)
        # What is whole is left as it is, with all its chunks; not what is empty, which ffmpeg would take for unknown.
        whole = not lie and after == begin and data.claimed > 0 and data.is_found
        # libsndfile takes what follows the samples of a W64 file for more of them
        whole &= data.form is not W64 or (following or size) - end < W64.even
        if data.claimed or following is None:
            links.append(
                Link(begin, following or size) if whole else Link(data.start, end, true_header(file, data, end))
            )
        plain &= whole and following is None
        if following is None:
            break
        after = following
        if data.form.chunk(file, following) is None or is_container(file, following):
            begin = following
    if not links:
        return None
    return Outline(() if plain else tuple(links), present=present)


def _extent(file: BinaryIO, data: DataChunk, size: int) -> tuple[bool, int, float | None, int | None]:
    """Whether the header lies; where the samples end, what share of them is there, where a joined file begins."""
    end = data.start + data.claimed
    if end > size or data.claimed < 0:
        if is_unknown(data.claimed) or data.claimed <= size:  # or it counts the header in
            return True, _before_chunks(file, data, size), 1.0, None
        return False, size, (size - data.start) / data.claimed, None
    well_formed, following = _rest(file, data, size)
    if well_formed:
        return False, end, 1.0, following
    return True, _before_chunks(file, data, size), 1.0, None


def _rest(file: BinaryIO, data: DataChunk, size: int) -> tuple[bool, int | None]:
    """Whether what follows the samples is chunks, tags or nothing; and where a joined file or more samples begin."""
    position = next_chunk(file, data.form, data.begin, data.start + data.claimed)
    while position < size:
        if is_container(file, position):
            return True, position
        head = read_at(file, position, 8)
        if (head[:3] == b"TAG" and size - position == 128) or head[:8] == b"APETAGEX":
            return True, None
        chunk = data.form.chunk(file, position) if data.form.data else None
        if chunk is None:
            return _is_no_sound(file, data, position, size), None
        if chunk[0] == data.form.data:
            return True, position
        end = position + data.form.head + max(0, chunk[1])
        position = next_chunk(file, data.form, data.begin, end)
        if position > size + 1 and chunk[0] not in _AFTER and not _is_chunk(file, data, end):
            return False, None
    return True, None


def _is_chunk(file: BinaryIO, data: DataChunk, end: int) -> bool:
    """Whether what looks like a chunk is one, though it would end beyond the file, which has then been cut off."""
    container = data.container_end(file)
    if data.form.head > 8:  # few samples look like a size of 64 bits
        return end < LONGEST
    return container is not None and end <= container + 1


def _is_no_sound(file: BinaryIO, data: DataChunk, position: int, size: int) -> bool:
    """Whether bytes at the end, which are no chunk, are zeros to fill up with, or few while both sizes agree."""
    left = size - position
    if left < data.form.even:
        return True
    if not data.claimed:
        return False
    if left <= _ZEROS and not read_at(file, position, left).strip(b"\0"):
        return True
    container = data.container_end(file)
    if container is not None and left < data.form.head <= container - position:  # a cut-off head of a chunk
        return True
    if container is None or data.form is not WAV or len(data.format) < 16:
        return False
    rate = int.from_bytes(data.format[8:12], "little")
    return abs(container - position) <= 1 and left < _JUNK * rate


def _before_chunks(file: BinaryIO, data: DataChunk, size: int) -> int:
    """Where the chunks begin that end the file; its end where there are none."""
    form = data.form
    if form.head != 8 or not form.data:
        return size
    low = max(data.start, size - _TAIL)
    tail = np.frombuffer(read_at(file, low, size - low), np.uint8)
    end = size - 128 if tail[-128:][:3].tobytes() == b"TAG" else size
    after: dict[int, int] = {}
    for begin, stop in _candidates(tail, form):
        after.setdefault(low + stop, low + begin)  # the first, since chunks lie in chunks
    while True:
        for slack in (0, 1):
            if end - slack in after and after[end - slack] < end:
                end = after[end - slack]
                break
        else:
            return end


def _candidates(tail: np.ndarray, form: Form) -> Iterator[tuple[int, int]]:
    """Where a chunk may begin, by its name, and where it would end."""
    if len(tail) < form.head:
        return
    letter = (tail >= 32) & (tail < 127)
    named = letter[:-7] & letter[1:-6] & letter[2:-5] & letter[3:-4]
    places = np.flatnonzero(named)
    sizes = np.stack([tail[places + 4 + byte] for byte in range(4)], axis=1).copy()
    stops = places + form.head + sizes.view("<u4" if form.size[0] == "<" else ">u4")[:, 0].astype(np.int64)
    keep = stops <= len(tail)
    yield from zip(places[keep].tolist(), stops[keep].tolist(), strict=True)
