"""The recordings that options name and the codes that are kept of them; without Lightning, which sampling lacks."""

import hashlib
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from sequnet_pl.audio.files import SAMPLE_RATE, Channel
from sequnet_pl.data import sources
from sequnet_pl.data.splits import SPLITS, HeldOut, Known, Parts, lacking
from sequnet_pl.data.store import Report, Split, fingerprint, make_store, open_split
from sequnet_pl.data.store.index import Options, joined, read_index
from sequnet_pl.errors import UsageError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StoredRecordings:
    """Those options of AudioDataModule, which explains them, that decide what is stored."""

    dataset: sources.Dataset = "piano"
    audio_dir: sources.Folders = None
    audio_list: str | None = None
    recordings: str | None = None
    builtin_takes: int | None = None
    data_dir: str = "data"
    sample_rate: int = SAMPLE_RATE
    channel: Channel = "mix"
    loudness: float | None = None
    skip_silence: float | None = None
    store_workers: int | None = None
    split_time: bool | None = None
    held_out: HeldOut | None = None
    """Names of val and test in the run that is resumed or read; not an option, but from its checkpoint."""

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Self:
        """Those among the settings of an AudioDataModule."""
        return cls(**{field.name: settings[field.name] for field in fields(cls) if field.name in settings})

    @cached_property
    def source(self) -> sources.Source:
        """Where they come from. UsageError where options clash."""
        which = self.dataset, self.audio_dir, self.audio_list, self.recordings, self.builtin_takes
        in_time = self.split_time is True
        return sources.choose(Path(self.data_dir), self.sample_rate, *which, self.store_workers, in_time)

    @cached_property
    def folder(self) -> Path:
        """The store: the folder of the codes of these recordings under these options.

        One that never cuts in time is one with that of the default, and leaves its cuts out.
        """
        options = Options(self.sample_rate, self.channel, self.loudness, self.skip_silence)
        what = f"{self.source.identity}\n{options.key()}" + "\nsplit_time" * (self.split_time is True)
        digest = hashlib.sha256(os.fsencode(what)).hexdigest()[:8]
        return Path(self.data_dir) / "codes" / f"{self.source.name}-{digest}"

    def check(self) -> None:
        """Raise UserError for what is wrong before anything is made, UsageError where cuts are asked for in vain."""
        self.source.check()
        if self.split_time and not self.source.is_cut(self._known()):
            raise UsageError("--split_time has nothing to cut, for what validates is given; leave it out")

    def make(self) -> Report:
        """Fetch the recordings, make their store or bring it up to date, and say what is in it.

        UserError where there is nothing to learn from.
        """
        known = self._known()
        parts = self.source.find(known)
        report = self._update(parts)
        skipped = frozenset(entry.source for entry in report.skipped)
        if skipped != known.undecodable:  # files that decode are held out, once it is known which do
            again = self.source.find(replace(known, undecodable=skipped))
            if again != parts:
                report = replace(self._update(again), made=report.made, removed=report.removed)
        if self.split_time is False:
            held = {name: joined(recordings) for name, recordings in report.recordings.items()}
            report = replace(report, recordings=held, cut=False)
        empty = [split for split in SPLITS if not report.recordings.get(split)]
        if empty and "train" not in empty:
            train = len(report.recordings["train"])
            log.warning("%s: recordings that train: %d; nothing is %s", self.source.name, train, lacking(empty))
        return report

    def _known(self) -> Known:
        """Files that the store has found not to decode, and the split of the run that is resumed."""
        index = read_index(self.folder)
        undecodable = frozenset(entry.source for entry in index.skipped) if index else frozenset[str]()
        return Known(undecodable, self.held_out or {})

    def _update(self, parts: Parts) -> Report:
        return make_store(
            parts,
            self.folder,
            self.sample_rate,
            channel=self.channel,
            loudness=self.loudness,
            skip_silence=self.skip_silence,
            workers=self.store_workers,
        )

    def names(self) -> dict[str, list[str]]:
        """Return the names of val and test for the checkpoint; none where they are given or split in time."""
        recordings = {split: self.splits[split].recordings for split in ("val", "test")}
        if not self.source.roots or any(r.whole for found in recordings.values() for r in found):
            return {}
        return {split: [self.source.name_of(r.source) for r in found] for split, found in recordings.items()}

    def kept_names(self, state: Mapping[str, Any]) -> HeldOut | None:
        """Return the names of val and test in a checkpoint's state, None where it is of other recordings."""
        return state.get("held_out") if state.get("store") == self.folder.name else None

    @cached_property
    def splits(self) -> dict[str, Split]:
        """Each split of the store, opened. UserError where there is no store."""
        return {name: open_split(self.folder, name, joined=self.split_time is False) for name in SPLITS}

    @property
    def fingerprint(self) -> str:
        """Short hash of what the recordings hold. UserError where there is no store."""
        return fingerprint(self.folder, joined=self.split_time is False)

    def kept_split_time(self, state: Mapping[str, Any]) -> bool | None:
        """What `split_time` is to be, so that a run goes on with the split that it had.

        `state` is the AudioDataModule's in a checkpoint. Other recordings than its, and what is set, stay as they are.
        """
        if self.split_time is not None or state.get("store") != self.folder.name:
            return self.split_time
        if not state.get("split_time"):
            return False
        return None if self.source.is_cut(self._known()) else True
