"""Crops: which parts of the recordings the networks read and predict, and their codes.

Letters: B batch, T time in samples. A crop is `window.inputs` codes of context and one more: without its last code it
is what a network reads, and its last `window.outputs` codes are the targets. Before a recording's start there is
silence (code 128); after its end nothing is a target.
"""

import math
import mmap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from sequnet_pl.audio.mulaw import SILENCE
from sequnet_pl.data.store import Split
from sequnet_pl.errors import UsageError, UserError

Plan = NDArray[np.int64]
"""Crops (N, 2): recording and the position of the first target in it. Recording -1 is an empty crop."""
EMPTY = (-1, 0)


class Groups(NamedTuple):
    """Recordings in groups that have sampling weights in the training crops, independent of their lengths."""

    numbers: NDArray[np.int64]  # of the group of each recording
    weights: NDArray[np.float64]  # of each group, above 0


class Batch(NamedTuple):
    """Crops, as the loaders yield them."""

    codes: Tensor  # (B, window.inputs + 1) uint8
    valid: Tensor  # (B,) int64, how many of the targets count, from the first on
    recordings: Tensor  # (B,) int64, the recording of each crop
    starts: Tensor  # (B,) int64, the position of the first target in its recording

    def __reduce__(self) -> tuple[Callable[..., "Batch"], tuple[NDArray[Any], ...]]:
        # As arrays, through the pipe: torch would open shared memory for each tensor, which takes three times as long.
        return _from_arrays, tuple(field.numpy() for field in self)


def _from_arrays(*fields: NDArray[Any]) -> Batch:
    return Batch(*map(torch.from_numpy, fields))


def training_plan(
    lengths: NDArray[np.int64], outputs: int, hop: int, seed: int, epoch: int, groups: Groups | None = None
) -> Plan:
    """Return the crops of a training epoch in random order: max(1, ceil(length / hop)) of each recording.

    With `groups` there are as many, in proportion to the sampling weights of the groups, and evenly within each group.
    The middle of the targets is uniform over the recording, and a crop that would stick out is moved inside: so every
    sample is about as likely a target, and only recordings shorter than `outputs` give crops with a tail. A pure
    function of its arguments.
    """
    random = np.random.Generator(np.random.Philox(key=[seed, epoch]))
    recordings = np.repeat(np.arange(len(lengths)), np.maximum(1, -(-lengths // hop)))
    if groups:
        recordings = _weighted(recordings, groups, random)
    long = lengths[recordings]
    middles = (random.random(len(recordings)) * long).astype(np.int64)
    starts = np.clip(middles - outputs // 2, 0, np.maximum(0, long - outputs))
    return random.permutation(np.stack((recordings, starts), axis=1))


def _weighted(recordings: NDArray[np.int64], groups: Groups, random: np.random.Generator) -> NDArray[np.int64]:
    """Return as many recordings by the weights of their groups: to a crop in an epoch, exactly over many epochs."""
    ends = len(recordings) * np.cumsum(groups.weights) / groups.weights.sum()
    ends = np.append(np.floor(ends[:-1] + random.random()), len(recordings))
    drawn: list[NDArray[np.int64]] = []
    for group, count in enumerate(np.diff(ends, prepend=0).astype(np.int64)):
        own = recordings[groups.numbers[recordings] == group]
        drawn += [np.tile(own, count // len(own)), random.permutation(own)[: count % len(own)]]
    return np.concatenate(drawn)


def scoring_plan(lengths: NDArray[np.int64], outputs: int, most: int | None = None) -> Plan:
    """Return consecutive crops from each recording's start, so that every sample is a target exactly once.

    With `most`, crops spread evenly over all, of no more than that many samples together (but at least one crop).
    """
    counts = -(-lengths // outputs)
    recordings = np.repeat(np.arange(len(lengths)), counts)
    firsts = np.repeat(np.cumsum(counts) - counts, counts)
    plan = np.stack((recordings, (np.arange(len(recordings)) - firsts) * outputs), axis=1)
    if most is not None and len(plan) > (crops := max(1, most // outputs)):
        plan = plan[np.linspace(0, len(plan) - 1, crops).round().astype(np.int64)]
    return plan


def check_weights(folders: Sequence[str], weights: Sequence[float] | None) -> None:
    """Raise UsageError for sampling weights that are not one number above 0 for each folder."""
    if weights is None:
        return
    if len(weights) != len(folders):
        count = f"{len(weights)} for {len(folders)} folders of --audio_dir"
        raise UsageError(f"--audio_weights has {count}: give one for each, or leave it out")
    if wrong := [weight for weight in weights if not 0 < weight < math.inf]:
        raise UsageError(f"--audio_weights has {wrong[0]:g}, but a sampling weight is a number above 0")


def weighted_groups(split: Split, folders: Sequence[str], weights: Sequence[float]) -> Groups:
    """Return the recordings of each folder as a group. Raise UserError where one has none."""
    sources = [Path(recording.source) for recording in split.recordings]
    numbers = np.zeros(len(sources), np.int64)
    for number, folder in enumerate(folders):
        inside = [source.is_relative_to(Path(folder).absolute()) for source in sources]
        if not any(inside):
            raise UserError(f"{folder} has nothing to train on, so it can have no sampling weight; leave it out")
        numbers[inside] = number
    return Groups(numbers, np.array(weights))


class Crops(Dataset[Batch]):
    """Gathers the codes of crops from a split, straight into one tensor.

    Args:
        split: The recordings.
        inputs, outputs: The sizes of a network's window.
    """

    def __init__(self, split: Split, inputs: int, outputs: int) -> None:
        self.split, self.inputs, self.outputs = split, inputs, outputs

    def __getitems__(self, plan: Plan) -> Batch:
        """Return the crops of a part of a plan, as one batch."""
        recordings, starts = plan.T.copy()
        ends = starts + self.outputs
        first_inputs = ends - self.inputs - 1  # may lie before the recording's start
        firsts, lasts = np.maximum(first_inputs, 0), np.minimum(ends, self.split.lengths[recordings])
        lasts = np.where(recordings < 0, firsts, lasts)
        codes = np.empty((len(plan), self.inputs + 1), dtype=np.uint8)
        stored = np.asarray(self.split.codes)  # slices of a memmap take ten times as long to make
        offsets = self.split.offsets[recordings]
        sources = np.stack((offsets + firsts, offsets + lasts), axis=1).tolist()
        _prefetch(self.split.codes, sources)
        targets = np.stack((firsts - first_inputs, lasts - first_inputs), axis=1).tolist()
        for row, (first, last), (source, end) in zip(codes, targets, sources, strict=True):
            row[:first] = SILENCE
            row[first:last] = stored[source:end]
            row[last:] = SILENCE
        return _from_arrays(codes, np.where(recordings < 0, 0, lasts - starts), recordings, starts)


def _prefetch(codes: NDArray[np.uint8], stretches: Sequence[Sequence[int]]) -> None:
    """Have the system read all stretches at once: page after page takes a disk five times as long."""
    pages = codes.base
    if isinstance(pages, mmap.mmap):
        for first, last in stretches:
            start = first - first % mmap.PAGESIZE
            pages.madvise(mmap.MADV_WILLNEED, start, last - start)
