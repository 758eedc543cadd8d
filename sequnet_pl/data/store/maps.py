"""The maps of a store beside its index, which grow at the end or are written anew."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from sequnet_pl import atomic
from sequnet_pl.data.store.index import Index, Recording, SplitIndex
from sequnet_pl.data.store.locks import remove
from sequnet_pl.errors import UserError

PARTS = "parts"
"""The folder in a store where finished parts wait until the store takes them in."""

_SUFFIX = ".codes"
_CHUNK = 1 << 22
_HOLES = 0.25  # share of a map that removed recordings may leave before it is written anew


@dataclass(frozen=True)
class Piece:
    """Codes on disk: `length` bytes of `path` from `offset` on."""

    path: Path
    offset: int
    length: int


def place(folder: Path, split: str, old: SplitIndex, wanted: Sequence[tuple[Recording, Piece]]) -> SplitIndex:
    """Bring the codes of all `wanted` recordings into one map, and give the split's index; offsets are set here.

    The map that `old` names keeps the bytes that it tells of, whatever happens; so it stays valid until the new index
    is written. What is in that map already stays where it is, unless removed recordings have left many holes.
    Raises UserError where writing fails.
    """
    old_map = folder / old.map
    pieces = {piece: piece.offset for _, piece in wanted if old.map and piece.path == old_map}
    added = list(dict.fromkeys(piece for _, piece in wanted if piece not in pieces))
    kept = sum(piece.length for piece in pieces)
    total = kept + sum(piece.length for piece in added)
    name, start = old.map, old.length
    if not old.map or old.length - kept > _HOLES * total:
        name, start = _next_name(folder, split), 0
        added = list(dict.fromkeys(piece for _, piece in wanted))
    for piece in added:
        pieces[piece] = start
        start += piece.length
    if name != old.map:
        with atomic.replacing(folder / name) as temporary, temporary.open("wb") as out:
            _copy(added, out)
    elif added:
        _append(old_map, old.length, added)
    recordings = tuple(replace(recording, offset=pieces[piece]) for recording, piece in wanted)
    return SplitIndex(name, start, recordings)


def complete(path: Path, length: int) -> bool:
    """Whether a map holds the `length` codes that its index tells of."""
    return not length or (path.is_file() and path.stat().st_size >= length)


def _next_name(folder: Path, split: str) -> str:
    """A name that no map has: the index on disk may name any that is there."""
    generations = [path.name.split(".")[-2] for path in folder.glob(f"{split}.*{_SUFFIX}")]
    return f"{split}.{max((int(g) for g in generations if g.isdigit()), default=-1) + 1}{_SUFFIX}"


def _append(path: Path, length: int, pieces: Sequence[Piece]) -> None:
    try:
        with path.open("r+b") as out:
            out.truncate(length)  # an earlier run may have crashed before it told of what it wrote
            out.seek(length)
            _copy(pieces, out)
            out.flush()
            os.fsync(out.fileno())
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}; free some space") from error


def _copy(pieces: Sequence[Piece], out: BinaryIO) -> None:
    for piece in pieces:
        with piece.path.open("rb") as source:
            source.seek(piece.offset)
            left = piece.length
            while left:
                chunk = source.read(min(left, _CHUNK))
                if not chunk:
                    raise UserError(
                        f"{piece.path} has become shorter; delete {piece.path.parent}, and it is made again"
                    )
                out.write(chunk)
                left -= len(chunk)


def clean(folder: Path, index: Index) -> None:
    """Remove what `index` does not name: parts it has taken in, former maps, unfinished files of a killed process.

    Maps that a running process has opened stay, for what it starts later opens them too; the next update removes them.
    """
    shutil.rmtree(folder / PARTS, ignore_errors=True)
    for path in unnamed(folder, index):
        remove(path)


def unnamed(folder: Path, index: Index) -> list[Path]:
    """What lies in a store and is of no use to it."""
    maps = {split.map for split in index.splits.values()}
    found = [*folder.glob(f"*{_SUFFIX}"), *folder.glob(".index-*"), *folder.glob(PARTS)]
    return [path for path in found if path.name not in maps]
