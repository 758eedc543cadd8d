"""Recordings as mu-law codes on disk: one flat uint8 file a split, with an index, made once and kept up to date.

`make_store` makes or updates a store, `open_split` reads it; `python -m sequnet_pl.data.store` looks into one.
A store is a folder: `index.json` names one `<split>.<generation>.codes` for each split. Files that decode are turned
into parts first, in parallel; then the maps take the parts in, and last the index is replaced. So a crash at any moment
leaves the store as it was, and finished parts to go on from. What is new takes twice its room until then.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from sequnet_pl import atomic
from sequnet_pl.audio.files import SAMPLE_RATE, Channel
from sequnet_pl.data.store.index import Index, Options, Recording, Skipped, SplitIndex, read_index
from sequnet_pl.data.store.locks import hold, lock
from sequnet_pl.data.store.maps import PARTS, complete
from sequnet_pl.data.store.update import Report, Update
from sequnet_pl.data.store.workers import decode_all
from sequnet_pl.errors import UserError
from sequnet_pl.processes import cores

__all__ = ["Recording", "Report", "Skipped", "Split", "fingerprint", "make_store", "open_split"]


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

    A file that several splits name is cut in time among them (see `cuts`); it is stored once, and what they hold are
    views. All splits of such a store share a map.
    A file is known by its size and time, else by its content. `rate` in Hz; `loudness` in LUFS and `skip_silence` in
    seconds are off by default (see Options); `workers` processes decode, as many as there are cores by default;
    `progress` shows a bar. What cannot be used is skipped, with a line and in the report.
    Raises UserError where nothing can be used or the folder cannot be written; the store is then as it was.
    """
    folder = atomic.make_folder(Path(folder))
    options = Options(rate, channel, loudness, skip_silence)
    sources = {split: list(dict.fromkeys(str(path.absolute()) for path in files[split])) for split in files}
    update = Update(folder, options)
    if not update.find_jobs(sources) and (report := update.unchanged(sources)):
        return report  # so many can use one store at the same time, and from a disk that cannot be written
    with lock(folder):
        update = Update(folder, options)
        jobs = update.find_jobs(sources)
        if jobs:
            from sequnet_pl.data.store.progress import StoreProgress  # not for processes that decode: rich takes long

            answers = decode_all(jobs, folder / PARTS, options, min(workers or cores(), len(jobs)))
            # Closed here, so that no process works on after an error or a Ctrl-C.
            with closing(answers), StoreProgress(jobs, rate, shown=progress) as bar:
                for job, answer in answers:
                    update.take(job, answer)
                    bar.advance(job, answer)
        return update.publish(sources)


class Split:
    """The codes of one split on disk. Cheap to pickle: the map is opened by each process that reads it."""

    def __init__(self, path: Path, length: int, recordings: tuple[Recording, ...]) -> None:
        self.path = path
        self.length = length
        self.recordings = recordings
        self.offsets: NDArray[np.int64] = np.array([r.offset for r in recordings], np.int64)
        self.lengths: NDArray[np.int64] = np.array([r.length for r in recordings], np.int64)
        self._codes: NDArray[np.uint8] | None = None
        self._held: IO[bytes] | None = None

    def hold(self) -> bool:
        """Keep the map on disk as long as this lives, for processes that open it later; False where it is gone."""
        self._held = hold(self.path) if self.length else None
        return self._held is not None or not self.length

    @property
    def codes(self) -> NDArray[np.uint8]:
        """All codes (T,), read-only, on disk until they are looked at. Raises UserError where the map is gone."""
        if self._codes is None:
            if not complete(self.path, self.length):
                raise UserError(f"{self.path} is gone or too short; start again, so that the store is made again")
            self._codes = (
                np.memmap(self.path, np.uint8, mode="r", shape=(self.length,)) if self.length else np.empty(0, np.uint8)
            )
        return self._codes

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_codes": None, "_held": None}


def opened_index(folder: Path) -> Index:
    """The index of a store that must be there. Raises UserError without one."""
    index = read_index(folder)
    if index is None:
        raise UserError(f"there is no store in {folder}; make one first")
    return index


def _opened(folder: Path, joined: bool) -> Index:
    index = opened_index(folder)
    return index.joined() if joined else index


def open_split(folder: Path, split: str, joined: bool = False) -> Split:
    """One split of a store, `joined` without its cuts in time; one that the store does not have has no recordings.

    Raises UserError without a store.
    """
    index = _opened(folder, joined)
    while True:
        found = index.splits.get(split, SplitIndex())
        opened = Split(Path(folder) / found.map, found.length, found.recordings)
        if opened.hold() or index == (index := _opened(folder, joined)):
            return opened  # else another process has replaced the index and its maps meanwhile


def fingerprint(folder: Path, joined: bool = False) -> str:
    """A short hash of the options, the codes of every split, in order, and the cuts; wherever recordings came from."""
    index = _opened(folder, joined)
    content = {
        name: [[r.codes_sha256, r.begin, r.length] if r.is_piece else r.codes_sha256 for r in split.recordings]
        for name, split in sorted(index.splits.items())
    }
    return hashlib.sha256(json.dumps([asdict(index.options), content]).encode()).hexdigest()[:12]
