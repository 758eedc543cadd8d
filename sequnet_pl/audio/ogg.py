"""The pages of an ogg file: the streams that were joined in it (a chain has several), and whether it is cut off."""

from collections.abc import Iterator
from typing import BinaryIO

from sequnet_pl.audio.link import Link, Outline, read_at

MAGIC = b"OggS"
_HEADER = 27
_LONGEST = _HEADER + 255 + 255 * 255
_BEGINS, _ENDS = 2, 4  # flags of a page


def outline(file: BinaryIO, size: int) -> Outline:
    """The links of a chain, each with its own header pages; none where there is but one."""
    begins: list[int] = []
    heads, last, end = False, 0, 0
    for position, flags, after in _pages(file, size):
        if flags & _BEGINS and not heads:
            begins.append(position)
        heads, last, end = bool(flags & _BEGINS), flags, after
    present = 1.0 if last & _ENDS and end <= size else None
    if len(begins) < 2:
        return Outline(present=present)
    links = [Link(begin, end) for begin, end in zip(begins, [*begins[1:], size], strict=True)]
    return Outline(tuple(links), present=present)


def _pages(file: BinaryIO, size: int) -> Iterator[tuple[int, int, int]]:
    """Position, flags, and the end of each page; the last may end behind the file."""
    position = 0
    while position + _HEADER <= size:
        head = read_at(file, position, _HEADER + 255)
        if not head.startswith(MAGIC):
            skipped = read_at(file, position + 1, _LONGEST).find(MAGIC)
            if skipped < 0:
                return
            position += 1 + skipped
            continue
        count = head[_HEADER - 1]
        after = position + _HEADER + count + sum(head[_HEADER : _HEADER + count])
        yield position, head[5], after
        position = after
