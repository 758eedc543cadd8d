"""Recordings as mu-law codes on disk: one uint8 file and an index, made once and kept up to date.

`make_store` makes or updates a store, `open_split` reads it; `python -m sequnet_pl.data.store` shows one.
Codes are only appended, and the index is replaced once they are on disk. So readers need no lock, and a crash costs the
work of a minute at most. Removed recordings leave unused space; a folder that is deleted is made again without any.
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
from sequnet_pl.audio.files import SAMPLE_RATE, Channel
from sequnet_pl.data.store.appending import append
from sequnet_pl.data.store.encode import identity
from sequnet_pl.data.store.index import (
    INDEX,
    NEXT_INDEX,
    Index,
    Options,
    Recording,
    Skipped,
    opened_index,
    read_index,
    write_index,
)
from sequnet_pl.data.store.locks import lock
from sequnet_pl.data.store.temporal import divided
from sequnet_pl.errors import UserError
from sequnet_pl.processes import cores

__all__ = ["Recording", "Report", "Skipped", "Split", "fingerprint", "make_store", "open_split"]

Sources = Mapping[str, Sequence[str]]
"""The paths of the audio files of each split."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Report:
    """The content of a store after an update, and what the update did."""

    recordings: dict[str, tuple[Recording, ...]]
    """Of each split."""
    skipped: tuple[Skipped, ...] = ()
    made: int = 0
    """Files that were decoded."""
    is_changed: bool = False
    """Whether the splits hold other recordings or segments than before."""


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
            raise UserError(f"{self.path} is gone or too short; start again, so that the store is made again")
        return np.memmap(self.path, np.uint8, "r", shape=(self.length,)) if self.length else np.empty(0, np.uint8)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "codes"}


def make_store(
    files: Mapping[str, Sequence[Path]],
    folder: Path,
    rate: int = SAMPLE_RATE,
    *,
    channel: Channel = "mix",
    loudness: float | None = None,
    skip_silence: float | None = None,
    workers: int | None = None,
    progress: bool = True,
) -> Report:
    """Make the store in `folder` hold exactly the audio `files` of each split, and decode only what it does not have.

    A file in several splits is split in time among them (see `temporal`), and stored once. A file is known by its path,
    size and time. `rate` in Hz; `loudness` in LUFS and `skip_silence` in seconds are off by default (see
    Options); `workers` processes decode, by default one for each core; `progress` shows a bar. Files that cannot be
    used are skipped, with a warning and in the report.
    Raises UserError where nothing can be used or the folder cannot be written; the splits are then as they were.
    """
    folder = atomic.make_folder(Path(folder))
    options = Options(rate, channel, loudness, skip_silence)
    sources = {split: list(dict.fromkeys(str(path.absolute()) for path in files[split])) for split in files}
    if report := _report_if_current(folder, options, sources):
        return report  # without the lock: many jobs may use a store, on a read-only disk too
    with lock(folder):
        return _update(folder, options, sources, workers or cores(), progress)


def _report_if_current(folder: Path, options: Options, sources: Sources) -> Report | None:
    """Return the content of a store that holds just what it should, else None."""
    name, index = _usable(folder, options)
    is_current = (
        name == INDEX
        and any(index.splits.values())
        and not _changed(index, sources)
        and _arranged(index, sources) == index
        and ((folder / NEXT_INDEX).exists() or not _unused_codes(folder, index))
    )
    if not is_current:
        return None
    _log_skipped_again(folder, len(index.skipped))
    return Report(index.splits, index.skipped)


def _update(folder: Path, options: Options, sources: Sources, workers: int, progress: bool) -> Report:
    name, old = _usable(folder, options)
    jobs = _changed(old, sources)
    if name == NEXT_INDEX:
        write_index(folder, old, name)  # before its file of codes is there
    new = _arranged(append(folder, old, name, jobs, workers, progress) if jobs else old, sources)
    failed = len(jobs.keys() & {entry.source for entry in new.skipped})
    _log_skipped_again(folder, len(new.skipped) - failed)
    if not any(new.splits.values()):
        first = f"; the first, {new.skipped[0].source}: {new.skipped[0].reason}" if new.skipped else ""
        raise UserError(f"none of {len(new.skipped)} audio files can be used{first}")
    write_index(folder, new, name)
    (folder / name).replace(folder / INDEX)  # at once, where it is of other options
    (folder / NEXT_INDEX).unlink(missing_ok=True)
    for path in (*_unused_codes(folder, new), *folder.glob(".*.json")):  # the latter of runs that were killed
        path.unlink(missing_ok=True)
    _warn_of_leaks(new)
    if removed := [source for source in old.recordings if source not in new.recordings]:
        log.warning("%s: dropped %d recordings, the first %s", folder, len(removed), removed[0])
    return Report(new.splits, new.skipped, len(jobs) - failed, new.splits != old.splits)


def _arranged(index: Index, sources: Sources) -> Index:
    """Return the index with just these sources, each in its splits."""
    wanted = {source for split in sources.values() for source in split}
    skipped = {entry.source: entry for entry in index.skipped if entry.source in wanted}
    found = {source: recording for source, recording in index.recordings.items() if source not in skipped}
    return Index(index.options, index.length, divided(found, sources), tuple(skipped.values()), codes=index.codes)


def open_split(folder: Path, split: str, unsplit: bool = False) -> Split:
    """Open one split of a store, `unsplit` without temporal splits; one that the store lacks has no recordings.

    Raises UserError without a store.
    """
    index = opened_index(folder, unsplit)
    recordings = index.splits.get(split, ())
    return Split(Path(folder) / index.codes, index.length if recordings else 0, recordings)


def fingerprint(folder: Path, unsplit: bool = False) -> str:
    """Return a short hash of the options, the codes of every split in order, and the segments; not of the sources."""
    index = opened_index(folder, unsplit)
    content = {
        name: [[r.codes_sha256, r.start, r.length] if r.is_segment else r.codes_sha256 for r in split]
        for name, split in sorted(index.splits.items())
    }
    return hashlib.sha256(json.dumps([asdict(index.options), content]).encode()).hexdigest()[:12]


def _usable(folder: Path, options: Options) -> tuple[str, Index]:
    """Return the name of the index to write, and the index to start from, an empty one where there is none to use.

    A store under other options stays until the new one, with its own index and file of codes, is complete.
    """
    present = _complete_index(folder, INDEX)
    if present is None or present.options == options:
        return INDEX, present or Index(options)
    unfinished = _complete_index(folder, NEXT_INDEX)
    if unfinished is None or unfinished.options != options:
        unfinished = Index(options, codes=f"codes-{options.key()}.u8")
    return NEXT_INDEX, unfinished


def _complete_index(folder: Path, name: str) -> Index | None:
    """Return an index, None where there is none, or it cannot be read, or codes are missing."""
    try:
        index = read_index(folder, name)
    except UserError as error:
        log.warning("%s", error)
        return None
    if index and not _is_complete(folder / index.codes, index.length):
        log.warning("%s is missing or too short, its recordings are made again", folder / index.codes)
        return None
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


def _unused_codes(folder: Path, index: Index) -> list[Path]:
    """Return the files of codes of an earlier version (.codes) or of other options."""
    return [path for path in folder.iterdir() if path.suffix in (".codes", ".u8") and path.name != index.codes]


def _log_skipped_again(folder: Path, count: int) -> None:
    if count:
        log.warning("%s: skipped %d files again, which are as they were", folder, count)


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
