"""Sampling weights: the proportions of several folders in the training crops."""

import math
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from sequnet_pl.data.crops import Groups
from sequnet_pl.data.store import Split
from sequnet_pl.errors import UsageError, UserError


def check_weights(folders: Sequence[str], weights: Sequence[float] | None) -> None:
    """Raise UsageError for weights that are not one number above 0 for each folder."""
    if weights is None:
        return
    if len(weights) != len(folders):
        count = f"{len(weights)} for {len(folders)} folders of --audio_dir"
        raise UsageError(f"--audio_weights has {count}: give one for each, or null for none")
    if wrong := [weight for weight in weights if not 0 < weight < math.inf]:
        raise UsageError(f"--audio_weights has {wrong[0]:g}, but a sampling weight is a number above 0")


def weighted_groups(split: Split, folders: Sequence[str], weights: Sequence[float]) -> Groups:
    """Return the recordings of each folder as a group. Raise UserError where one has none."""

    @cache
    def number(path: Path) -> int:
        for index, folder in enumerate(folders):
            if os.path.exists(path) and path.samefile(folder):  # noqa: PTH110 (never raises); however it is written
                return index
        return -1 if path == path.parent else number(path.parent)

    numbers = np.array([number(Path(recording.source).parent) for recording in split.recordings], np.int64)
    for index, folder in enumerate(folders):
        if index not in numbers:
            raise UserError(f"{folder} has nothing to train on, so it can have no sampling weight; leave it out")
    return Groups(numbers, np.array(weights))
