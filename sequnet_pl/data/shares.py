"""What parts several folders have in the training crops."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

import numpy as np

from sequnet_pl.data.crops import Groups
from sequnet_pl.data.store import Split
from sequnet_pl.errors import UsageError, UserError


@dataclass(frozen=True)
class FolderShares:
    """Folders, and a weight above 0 of each."""

    folders: tuple[Path, ...]
    weights: tuple[float, ...]

    @classmethod
    def of(cls, folders: Sequence[str], weights: Sequence[float] | None) -> Self | None:
        """The shares that are asked for, None without any. UsageError where they do not fit the folders."""
        if weights is None:
            return None
        if len(weights) != len(folders):
            count = f"{len(weights)} for {len(folders)} folders of --audio_dir"
            raise UsageError(f"--audio_weights has {count}: give one for each, or null for none")
        if wrong := [weight for weight in weights if not 0 < weight < math.inf]:
            raise UsageError(f"--audio_weights has {wrong[0]:g}, but a share is a number above 0")
        return cls(tuple(map(Path, folders)), tuple(weights))

    def groups(self, split: Split) -> Groups:
        """The recordings of each folder. UserError where one has none."""

        @cache
        def number(place: Path) -> int:
            for index, folder in enumerate(self.folders):
                if os.path.exists(place) and place.samefile(folder):  # noqa: PTH110 (never raises); however it is written
                    return index
            return -1 if place == place.parent else number(place.parent)

        numbers = np.array([number(Path(recording.source).parent) for recording in split.recordings], np.int64)
        for index, folder in enumerate(self.folders):
            if index not in numbers:
                raise UserError(f"{folder} has nothing to train on, so it can have no share; leave it out")
        return Groups(numbers, np.array(self.weights))
