"""The recordings that options name and the codes that are kept of them; without Lightning, which sampling lacks."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from sequnet_pl.audio.files import SAMPLE_RATE, Channel
from sequnet_pl.data import sources
from sequnet_pl.data.splits import SPLITS
from sequnet_pl.data.store import Report, Split, make_store, open_split
from sequnet_pl.data.store.index import Options


@dataclass(frozen=True)
class StoredRecordings:
    """Those options of AudioDataModule, which explains them, that decide what is stored."""

    dataset: sources.Dataset = "piano"
    audio_dir: str | None = None
    audio_list: str | None = None
    recordings: str | None = None
    builtin_takes: int | None = None
    data_dir: str = "data"
    sample_rate: int = SAMPLE_RATE
    channel: Channel = "mix"
    loudness: float | None = None
    skip_silence: float | None = None
    store_workers: int | None = None

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Self:
        """Those among the settings of an AudioDataModule."""
        return cls(**{field.name: settings[field.name] for field in fields(cls) if field.name in settings})

    @cached_property
    def source(self) -> sources.Source:
        """Where they come from. UsageError where options clash."""
        which = self.dataset, self.audio_dir, self.audio_list, self.recordings, self.builtin_takes
        return sources.choose(Path(self.data_dir), self.sample_rate, *which, self.store_workers)

    @cached_property
    def folder(self) -> Path:
        """The store: the folder of the codes of these recordings under these options."""
        options = Options(self.sample_rate, self.channel, self.loudness, self.skip_silence)
        digest = hashlib.sha256(os.fsencode(f"{self.source.identity}\n{options.key()}")).hexdigest()[:8]
        return Path(self.data_dir) / "codes" / f"{self.source.name}-{digest}"

    def make(self) -> Report:
        """Fetch the recordings, make their store or bring it up to date, and say what is in it.

        UserError where there is nothing to learn from.
        """
        return make_store(
            self.source.find(),
            self.folder,
            self.sample_rate,
            channel=self.channel,
            loudness=self.loudness,
            skip_silence=self.skip_silence,
            workers=self.store_workers,
        )

    @cached_property
    def splits(self) -> dict[str, Split]:
        """Each split of the store, opened. UserError where there is no store."""
        return {name: open_split(self.folder, name) for name in SPLITS}
