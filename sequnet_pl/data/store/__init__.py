"""Recordings as mu-law codes on disk: one uint8 file and an index, made once and kept up to date.

`make_store` makes or updates a store, `open_split` reads it; `python -m sequnet_pl.data.store` shows one.
Codes are only appended, and the index is replaced once they are on disk. So readers need no lock, and a crash costs the
work of a minute at most. Removed recordings leave unused space; a deleted folder is made again without it.
"""

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sequnet_pl import atomic
from sequnet_pl.data.store.appending import append, lock
from sequnet_pl.data.store.encode import identity
from sequnet_pl.data.store.index import (
    CODES,
    Index,
    Options,
    Recording,
    Skipped,
    Sources,
    opened_index,
    read_index,
    write_index,
)
from sequnet_pl.errors import UserError
from sequnet_pl.processes import cores

__all__ = ["Options", "Recording", "Report", "Skipped", "Split", "fingerprint", "make_store", "open_split"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Report:
    """The content of a store after an update, and what the update did."""

    recordings: dict[str, tuple[Recording, ...]]  # of each split
    skipped: tuple[Skipped, ...] = ()
    made: int = 0  # files that were decoded
    is_changed: bool = False  # whether the splits hold other recordings or segments than before


class Split:
    """The codes of one split on disk. Cheap to pickle: the file is opened by each process that reads it."""

    def __init__(self, path: Path, length: int, recordings: tuple[Recording, ...]) -> None:
        self.path, self.length, self.recordings = path, length, recordings
        self.offsets: NDArray[np.int64] = np.array([r.offset for r in recordings], np.int64)
        self.lengths: NDArray[np.int64] = np.array([r.length for r in recordings], np.int64)

    @cached_property
    def codes(self) -> NDArray[np.uint8]:
        """All codes of the store (T,), read-only, on disk until they are read. Raises UserError where they are gone."""
        if not _is_complete(self.path, self.length):
            raise UserError(f"{self.path} is missing or too short; start again to make the store again")
        return np.memmap(self.path, np.uint8, "r", shape=(self.length,)) if self.length else np.empty(0, np.uint8)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "codes"}


def make_store(
    files: Mapping[str, Sequence[Path]],
    folder: Path,
    *,
    workers: int | None = None,
    progress: bool = True,
    **options: Any,
) -> Report:
    """Make the store in `folder` hold exactly the audio `files` of each split, and decode only what it does not have.

    A file in several splits is split in time among them (see `Index.arranged`), and stored once. A file is known by its
    path, size and time. `workers` processes decode, by default one for each core; `progress` shows a bar. The other
    arguments are those of Options. Files that cannot be used are skipped, with a warning and in the report.
    Raises UserError where nothing can be used or the folder cannot be written; the splits are then as they were.
    """
    folder, wanted = atomic.make_folder(Path(folder)), Options(**options)
    sources = {split: list(dict.fromkeys(str(path.absolute()) for path in files[split])) for split in files}
    index = _usable(folder, wanted)
    if any(index.splits.values()) and not _changed(index, sources) and index.arranged(sources) == index:
        return Report(index.splits, index.skipped)  # without the lock: many jobs use a store, on a read-only disk too
    with lock(folder):
        return _update(folder, wanted, sources, workers or cores(), progress)


def _update(folder: Path, options: Options, sources: Sources, workers: int, progress: bool) -> Report:
    old = _usable(folder, options)
    jobs = _changed(old, sources)
    new = append(folder, old, jobs, workers, progress).arranged(sources)
    if not any(new.splits.values()):
        first = f"; the first, {new.skipped[0].source}: {new.skipped[0].reason}" if new.skipped else ""
        raise UserError(f"none of {len(new.skipped)} audio files can be used{first}")
    for path in folder.glob(".*.json"):  # of runs that were killed
        path.unlink(missing_ok=True)
    write_index(folder, new)
    for path in folder.glob("*.codes"):  # of an earlier version
        path.unlink(missing_ok=True)
    _warn_of_leaks(new)
    failed = jobs.keys() & {entry.source for entry in new.skipped}
    return Report(new.splits, new.skipped, len(jobs) - len(failed), new.splits != old.splits)


def open_split(folder: Path, split: str, unsplit: bool = False) -> Split:
    """Open one split of a store, `unsplit` without temporal splits; one that the store lacks has no recordings.

    Raises UserError without a store.
    """
    index = opened_index(folder, unsplit)
    recordings = index.splits.get(split, ())
    return Split(Path(folder) / CODES, index.length if recordings else 0, recordings)


def fingerprint(folder: Path, unsplit: bool = False) -> str:
    """Return a short hash of the options, the codes of every split in order, and the segments; not of the sources."""
    index = opened_index(folder, unsplit)
    content = {
        name: [[r.codes_sha256, r.start, r.length] if r.is_segment else r.codes_sha256 for r in split]
        for name, split in sorted(index.splits.items())
    }
    return hashlib.sha256(json.dumps([asdict(index.options), content]).encode()).hexdigest()[:12]


def _usable(folder: Path, options: Options) -> Index:
    """Return the index to start from: an empty one where there is none of these options, or it lacks codes."""
    try:
        index = read_index(folder)
    except UserError as error:
        log.warning("%s", error)
        return Index(options)
    if index is None or index.options != options:
        return Index(options)
    if not _is_complete(folder / CODES, index.length):
        log.warning("%s is missing or too short, its recordings are made again", folder / CODES)
        return Index(options)
    return index


def _changed(index: Index, sources: Sources) -> dict[str, int]:
    """Return the files that are not in the index as they are now, with their sizes."""
    known = index.recordings | {entry.source: entry for entry in index.skipped}
    jobs: dict[str, int] = {}
    for source in dict.fromkeys(source for split in sources.values() for source in split):
        size, mtime_ns = identity(Path(source))
        entry = known.get(source)
        if entry is None or size < 0 or (entry.size, entry.mtime_ns) != (size, mtime_ns):
            jobs[source] = size
    return jobs


def _is_complete(path: Path, length: int) -> bool:
    return not length or (path.is_file() and path.stat().st_size >= length)


def _warn_of_leaks(index: Index) -> None:
    """Warn where splits share a recording, so that a network is scored on its training data."""
    found: dict[str, list[tuple[str, Recording]]] = {}
    for name, split in index.splits.items():
        for r in split:
            same = found.setdefault(r.codes_sha256, [])
            for split_of_other, other in same:
                overlaps = other.start < r.start + r.length and r.start < other.start + other.length
                if split_of_other != name and overlaps:
                    message = "%s (%s) and %s (%s) are the same recording"
                    log.warning(message, other.source, split_of_other, r.source, name)
                    break
            same.append((name, r))
