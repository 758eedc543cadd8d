"""One update of a store: what it can keep, what has to be decoded, and the new index that comes of both."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from sequnet_pl.data.store.cuts import cut_sources, divided
from sequnet_pl.data.store.index import Index, Options, Recording, Skipped, SplitIndex, read_index, write_index
from sequnet_pl.data.store.maps import PARTS, Piece, clean, complete, place, unnamed
from sequnet_pl.data.store.part import Answer, part_path
from sequnet_pl.data.store.workers import Job
from sequnet_pl.errors import UserError

log = logging.getLogger(__name__)

Sources = Mapping[str, Sequence[str]]
"""The paths of the audio files of each split."""


@dataclass(frozen=True)
class Report:
    """What a store holds after an update, and what the update did."""

    recordings: dict[str, tuple[Recording, ...]]
    """Of each split."""
    skipped: tuple[Skipped, ...]
    made: int
    """Files that were decoded."""
    removed: tuple[str, ...]
    """Sources of recordings that the store held, and holds no more."""
    cut: bool = False
    """Whether recordings are cut in time as they were not before."""


class Update:
    """`find_jobs`, then `take` what becomes of each job, then `publish`; the caller holds the store's lock."""

    def __init__(self, folder: Path, options: Options) -> None:
        self._folder, self._options = folder, options
        self._old = _usable(folder, options)
        self._made = self._again = 0
        self._found: dict[str, Recording] = {}  # by source, as is what cannot be used
        self._skipped: dict[str, Skipped] = {}
        self._homes: dict[str, dict[str, Piece]] = {}  # by split and hash: where the old maps have codes
        for name, split in self._old.splits.items():
            wholes = [r.joined() for r in split.recordings]
            self._homes[name] = {r.codes_sha256: Piece(folder / split.map, r.offset, r.length) for r in wholes}

    def find_jobs(self, sources: Sources) -> list[Job]:
        """Settle every source that has not changed; the others are jobs, the largest first."""
        recordings = self._recordings()
        known = {entry.source: entry for entry in [*recordings, *self._old.skipped]}
        jobs: list[Job] = []
        for source in dict.fromkeys(source for split in sources.values() for source in split):
            size, mtime_ns = _identity(source)
            entry = known.get(source)
            if entry is None or size < 0 or (entry.size, entry.mtime_ns) != (size, mtime_ns):
                same = tuple({r.sha256 for r in recordings if r.size == size})
                jobs.append(Job(source, size, same))
            elif isinstance(entry, Skipped):
                self._skipped[source] = entry
            else:
                self._found[source] = entry
        self._again = len(self._skipped)
        return sorted(jobs, key=lambda job: -job.size)

    def take(self, job: Job, answer: Answer) -> None:
        """Settle the source of a job by what became of it. Raises UserError for what would befall every job."""
        if answer.failed:
            raise UserError(answer.failed)
        if answer.skipped:
            self._skipped[job.path] = Skipped(job.path, answer.skipped, answer.size, answer.mtime_ns)
            log.warning("skipped %s: %s", job.path, answer.skipped)
            return
        identity = {"source": job.path, "size": answer.size, "mtime_ns": answer.mtime_ns}
        if answer.part is None:
            same = next(r for r in self._recordings() if r.sha256 == answer.sha256)
            self._found[job.path] = replace(same, **identity)
            return
        self._made += 1
        self._found[job.path] = Recording(
            **identity, offset=0, rate=self._options.rate, sha256=answer.sha256, **asdict(answer.part)
        )
        if answer.part.note:
            log.warning("%s: %s", job.path, answer.part.note)

    def unchanged(self, sources: Sources) -> Report | None:
        """What the store holds, where that is just what it should and nothing is left to clean up; else None."""
        old = self._old
        recordings = divided(self._found, sources)
        skipped = self._sorted_skipped()
        same = recordings == {name: split.recordings for name, split in old.splits.items()} and skipped == old.skipped
        if not same or not self._found or unnamed(self._folder, old):
            return None
        self._say_again()
        return Report(recordings, skipped, made=0, removed=())

    def publish(self, sources: Sources) -> Report:
        """Bring all that was found into the maps, then replace the index, then remove what is needed no more.

        Raises UserError where nothing was found or writing fails; the store is then as it was.
        """
        skipped = self._sorted_skipped()
        self._say_again()
        if not self._found:
            first = f"; the first, {skipped[0].source}: {skipped[0].reason}" if skipped else ""
            raise UserError(f"none of {len(skipped)} audio files can be used{first}")
        index = Index(self._options, self._placed(sources), skipped)
        if index != self._old:
            index = self._write(index)
            _warn_of_leaks(index)
        clean(self._folder, index)
        removed = tuple(dict.fromkeys(r.source for r in self._recordings() if r.source not in self._found))
        if removed:
            log.warning(
                "%s: dropped %d recordings whose files are gone: %s", self._folder, len(removed), _some(removed)
            )
        recordings = {name: index.splits.get(name, SplitIndex()).recordings for name in sources}
        cut = bool(_cuts(index) - _cuts(self._old))
        return Report(recordings, skipped, self._made, removed, cut)

    def _placed(self, sources: Sources) -> dict[str, SplitIndex]:
        """Bring the codes of all that was found into maps: one for each split, or for all where any source is cut."""
        first, *_ = sources
        maps = {first: [s for split in sources.values() for s in split]} if cut_sources(sources) else sources
        placed: dict[str, SplitIndex] = {}
        for name, wanted in maps.items():
            old = self._old.splits.get(name, SplitIndex())
            if name != first and old.map == self._old.splits.get(first, SplitIndex()).map:
                old = SplitIndex()  # one map for all, as long as anything was cut
            found = [self._found[source] for source in dict.fromkeys(wanted) if source in self._found]
            pieces = [self._piece(recording, name) for recording in found]
            placed[name] = place(self._folder, name, old, list(zip(found, pieces, strict=True)))
        if maps is sources:
            return placed
        recordings = divided({r.source: r for r in placed[first].recordings}, sources)
        return {name: replace(placed[first], recordings=recordings[name]) for name in sources}

    def _write(self, index: Index) -> Index:
        """Replace the index; gives what holds then. Where that fails, the old one may do, but for its cuts."""
        try:
            write_index(self._folder, index)
        except UserError as error:
            if _codes(index) == _codes(self._old):
                log.warning("%s; its codes are used, they are the same", error)
                return index
            if _codes(index.joined()) != _codes(self._old.joined()):
                raise
            log.warning("%s; its codes are used, cut in time as they were before or not at all", error)
            return self._old
        return index

    def _sorted_skipped(self) -> tuple[Skipped, ...]:
        return tuple(self._skipped[source] for source in sorted(self._skipped))

    def _say_again(self) -> None:
        if self._again:
            log.warning("%s: skipped %d files again, which are as they were", self._folder, self._again)

    def _recordings(self) -> list[Recording]:
        return [recording.joined() for split in self._old.splits.values() for recording in split.recordings]

    def _piece(self, recording: Recording, split: str) -> Piece:
        """Where the codes of a recording are: in its own split's map at best, in another's, or in a new part."""
        for homes in (self._homes.get(split, {}), *self._homes.values()):
            if piece := homes.get(recording.codes_sha256):
                return piece
        return Piece(part_path(self._folder / PARTS, recording.sha256, self._options), 0, recording.length)


def _some(sources: Sequence[str]) -> str:
    return ", ".join(sources[:5]) + (", ..." if len(sources) > 5 else "")


def _usable(folder: Path, options: Options) -> Index:
    """The index there is, without what is of no use now: other options, maps that are missing or too short."""
    try:
        index = read_index(folder)
    except UserError as error:
        log.warning("%s", error)
        index = None
    if index is None or index.options != options:
        return Index(options)
    splits: dict[str, SplitIndex] = {}
    for name, split in index.splits.items():
        if complete(folder / split.map, split.length):
            splits[name] = split
        else:
            log.warning("%s: %s is missing or too short, its recordings are made again", folder, split.map)
    return replace(index, splits=splits)


def _codes(index: Index) -> object:
    """What an index says of codes, and not of the files that they came from."""
    return index.options, {
        name: (split.map, [(r.offset, r.length, r.codes_sha256) for r in split.recordings])
        for name, split in index.splits.items()
        if split.recordings
    }


def _cuts(index: Index) -> set[tuple[str, int, int]]:
    return {(r.source, r.begin, r.length) for split in index.splits.values() for r in split.recordings if r.whole}


def _identity(source: str) -> tuple[int, int]:
    """Size and time of a file; -1 and -1 where there is none."""
    try:
        status = Path(source).stat()
    except OSError:
        return -1, -1
    return status.st_size, status.st_mtime_ns


def _warn_of_leaks(index: Index) -> None:
    """Say where splits share a recording, so that a network is scored on what it has learnt from."""
    places: dict[str, list[tuple[str, Recording]]] = {}
    for name, split in index.splits.items():
        for r in split.recordings:
            same = places.setdefault(r.sha256, [])
            for where, other in same:
                if where != name and other.begin < r.begin + r.length and r.begin < other.begin + other.length:
                    log.warning("%s (%s) and %s (%s) are the same recording", other.source, where, r.source, name)
                    break
            same.append((name, r))
