"""What a score is compared with while a run learns: tables of codes, counted on a part that is quick to read.

Letters: B batch, T time in samples, N targets.
"""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sequnet_pl.audio.mulaw import CLASSES
from sequnet_pl.data.crops import Crops, scoring_plan
from sequnet_pl.data.datamodule import AudioDataModule
from sequnet_pl.data.entropy import learn_tables, table_keys
from sequnet_pl.data.store import Split

MOST = 30_000_000
"""Codes that are read of a split, half an hour spread evenly; more take long and change little."""
NAMES = ("reference/single_codes", "reference/code_pairs", "reference/code_triples")
"""What tables of no, one and two codes before are logged under."""

_STRETCH = 1 << 16  # codes read in one piece
_TOGETHER = 16


def held_out_split(data: AudioDataModule) -> str:
    """Return the split of recordings that are not learnt from: val, else test; train where there are no others."""
    return next(name for name in ("val", "test", "train") if len(data.splits[name].lengths))


def held_out(data: AudioDataModule) -> Split:
    """Return the recordings of this split."""
    return data.splits[held_out_split(data)]


def references(data: AudioDataModule) -> dict[str, float]:
    """Bits per sample on held-out recordings of tables learnt on train, by the names that they are logged under."""
    tables = learn_tables(data.splits["train"], MOST)
    sums, count = torch.zeros(len(tables), dtype=torch.float64), 0
    for codes, inside in _stretches(held_out(data)):
        keys = table_keys(codes, inside.shape[1])[inside]
        sums += torch.stack([table[keys % len(table)].double().sum() for table in tables])
        count += len(keys)
    return dict(zip(NAMES, (sums / count).tolist(), strict=True))


def code_counts(split: Split) -> NDArray[np.int64]:
    """How often each of the 256 codes occurs."""
    return sum(
        (np.bincount(codes[:, 2:][inside].numpy(), minlength=CLASSES) for codes, inside in _stretches(split)),
        start=np.zeros(CLASSES, np.int64),
    )


def _stretches(split: Split) -> Iterator[tuple[Tensor, Tensor]]:
    """Codes (B, N + 2), of which the first two are what comes before, and which of the others are there (B, N)."""
    size = int(min(_STRETCH, split.lengths.max(initial=1)))
    crops, plan = Crops(split, size + 1, size), scoring_plan(split.lengths, size, MOST)
    for first in range(0, len(plan), _TOGETHER):
        batch = crops.__getitems__(plan[first : first + _TOGETHER])
        yield batch.codes, torch.arange(size) < batch.valid[:, None]
