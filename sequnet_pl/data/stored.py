"""The recordings that options name, and the store of their codes; without Lightning, which sampling lacks."""

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from sequnet_pl.audio.decode import Channel
from sequnet_pl.audio.files import SAMPLE_RATE
from sequnet_pl.data import sources
from sequnet_pl.data.splits import SPLITS, HeldOut, SplitRule
from sequnet_pl.data.store import Options, Report, Split, fingerprint, make_store, open_split
from sequnet_pl.data.store.index import opened_index, read_index
from sequnet_pl.errors import UsageError, UserError

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
    labels: sources.Labels = None
    held_out: HeldOut | None = None
    """Names of val and test in the run that is resumed or read; not an option, but from its checkpoint."""

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Self:
        """Return those among the settings of an AudioDataModule."""
        return cls(**{field.name: settings[field.name] for field in fields(cls) if field.name in settings})

    @cached_property
    def source(self) -> sources.Source:
        """Source of the recordings. Raises UsageError where options conflict."""
        which = self.dataset, self.audio_dir, self.audio_list, self.recordings, self.builtin_takes
        return sources.choose(Path(self.data_dir), self.sample_rate, *which, self.store_workers)

    @cached_property
    def folder(self) -> Path:
        """The store: the folder of the codes of these recordings under these options.

        Without temporal splits it is the store of the default, whose segments are then ignored.
        """
        identity = f"{self.source.identity}\n{self._options.key()}" + "\nsplit_time" * (self.split_time is True)
        digest = hashlib.sha256(os.fsencode(identity)).hexdigest()[:8]
        return Path(self.data_dir) / "codes" / f"{self.source.name}-{digest}"

    def check(self) -> None:
        """Raise UserError for what is wrong before anything is made, UsageError for a temporal split of nothing."""
        self.source.planned()
        if self.labels and self.source.labels is None:
            raise UsageError("--labels folder needs --audio_dir, or --audio_list with a column label")
        if self.split_time and not self._is_split_in_time():
            raise UsageError("--split_time has nothing to split, since what validates is given; leave it out")

    def make(self) -> Report:
        """Fetch the recordings, make or update their store, and return its content.

        Raises UserError where there is nothing to learn from.
        """
        found = self.source.fetch()
        rule = self._rule()
        parts = self.source.split(found, rule)
        report = self._update(parts)
        skipped = frozenset(entry.source for entry in report.skipped)
        if skipped != rule.undecodable:  # files that decode are held out, once it is known which do
            again = self.source.split(found, replace(rule, undecodable=skipped))
            if again != parts:
                report = replace(self._update(again), made=report.made)
        if self.split_time is False:
            report = replace(report, recordings=opened_index(self.folder, unsplit=True).splits)
        if empty := [split for split in SPLITS if not report.recordings.get(split)]:
            log.warning("%s: no recordings for %s", self.source.name, " and ".join(empty))
        return report

    def _rule(self) -> SplitRule:
        """Return how files are split, with those that the store has found not to decode."""
        index = read_index(self.folder)
        undecodable = frozenset(entry.source for entry in index.skipped) if index else frozenset[str]()
        return SplitRule(self.split_time is True, undecodable, self.held_out or {})

    def _is_split_in_time(self) -> bool:
        """Check whether any file is split in time, as far as that is known before anything is downloaded."""
        parts = self.source.split(self.source.planned(), self._rule())
        paths = [path for split in parts.values() for path in split]
        return len(set(paths)) < len(paths)

    def _update(self, parts: Mapping[str, list[Path]]) -> Report:
        return make_store(parts, self.folder, workers=self.store_workers, **asdict(self._options))

    @property
    def _options(self) -> Options:
        return Options(self.sample_rate, self.channel, self.loudness, self.skip_silence)

    def names(self) -> dict[str, list[str]]:
        """Return the names of val and test for the checkpoint; none where they are given or split in time."""
        recordings = {split: self.splits[split].recordings for split in ("val", "test")}
        if self.source.has_splits or any(r.total_length for found in recordings.values() for r in found):
            return {}
        return {split: [self.source.name_of(r.source) for r in found] for split, found in recordings.items()}

    def kept_names(self, state: Mapping[str, Any]) -> HeldOut | None:
        """Return the names of val and test in a checkpoint's state, None where it is of other recordings."""
        return state.get("held_out") if state.get("store") == self.folder.name else None

    @cached_property
    def splits(self) -> dict[str, Split]:
        """Each split of the store, opened. Raises UserError where there is no store."""
        return {name: open_split(self.folder, name, unsplit=self.split_time is False) for name in SPLITS}

    @property
    def fingerprint(self) -> str:
        """Short hash of what the recordings hold. Raises UserError where there is no store."""
        content = fingerprint(self.folder, unsplit=self.split_time is False)
        if self.labels is None:
            return content
        labels = [self.recording_labels(split) for split in SPLITS]
        return hashlib.sha256(json.dumps([content, labels]).encode()).hexdigest()[:12]

    def label_names(self) -> list[str]:
        """Return the labels of the files that train, sorted, as far as they are known before anything is decoded.

        Raises:
            UserError: No file has a label.
        """
        parts = self.source.split(self.source.planned(), self._rule())
        if names := sorted(set(self._labels([str(path.absolute()) for path in parts["train"]])) - {""}):
            return names
        advice = "put recordings into a folder for each label, or fill the column label of the list"
        raise UserError(f"--labels folder finds no labels: {advice}")

    def recording_labels(self, split: str) -> list[str]:
        """Return the label of each recording of a split, empty for none."""
        return self._labels([recording.source for recording in self.splits[split].recordings])

    def _labels(self, recordings: list[str]) -> list[str]:
        if self.labels is None or self.source.labels is None:
            return [""] * len(recordings)
        found = self.source.labels(recordings)
        return [found.get(recording, "") for recording in recordings]

    def kept_split_time(self, state: Mapping[str, Any]) -> bool | None:
        """Return the `split_time` with which a run is resumed with the split that it had.

        `state` is the AudioDataModule's in a checkpoint. For other recordings, or where it is set, it stays as it is.
        """
        if self.split_time is not None or state.get("store") != self.folder.name:
            return self.split_time
        if not state.get("split_time"):
            return False
        return None if self._is_split_in_time() else True
