"""The files of a store beside its index: the lock, and the maps, which grow at the end or are written anew."""

import fcntl
import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from sequnet_pl import atomic
from sequnet_pl.data.store.index import Index, Recording, SplitIndex
from sequnet_pl.errors import UserError

PARTS = "parts"
"""The folder in a store where finished parts wait until the store takes them in."""

_SUFFIX = ".codes"
_CHUNK = 1 << 22
_HOLES = 0.25  # share of a map that removed recordings may leave before it is written anew

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Piece:
    """Codes on disk: `length` bytes of `path` from `offset` on."""

    path: Path
    offset: int
    length: int


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Keep a store to this process; waits for the one that has it. The system frees the lock of one that crashed."""
    path = folder / ".lock"
    try:
        file = path.open("a")
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}; choose another folder") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.warning("waiting for another process that makes %s", folder)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


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
    """Remove what `index` does not name: parts it has taken in, former maps, unfinished files of a killed process."""
    shutil.rmtree(folder / PARTS, ignore_errors=True)
    maps = {split.map for split in index.splits.values()}
    for path in [*folder.glob(f"*{_SUFFIX}"), *folder.glob(".index-*")]:
        if path.name not in maps:
            path.unlink(missing_ok=True)
