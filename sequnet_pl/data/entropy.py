"""N-gram baselines: tables of codes, counted on one split, that give the bits of every code of another.

Letters: B batch, T time in samples, N targets, Q = 256 classes.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from sequnet_pl.audio.mulaw import CLASSES
from sequnet_pl.data.crops import Crops, scoring_plan
from sequnet_pl.data.store import Split

TABLES = ("unigram baseline", "bigram baseline", "trigram baseline")
"""Names of the tables that `learn_tables` returns."""
MOST = 1 << 28
"""Codes that tables are learnt from at most, spread evenly over a split: a few seconds' work, and int32 counts them."""

_STRETCH = 1 << 16  # codes read at once
_TOGETHER = 16  # stretches at a time, so that memory stays bounded


def table_keys(codes: Tensor, outputs: int) -> Tensor:
    """Return the indices in the tables of the last `outputs` codes of (B, T), (B, outputs) int64; T >= `outputs` + 2.

    The indices are those of the largest table; for a smaller one take the remainder by its length.
    """
    last = codes.shape[-1] - outputs
    keys = codes[:, last - 2 : -2].long()
    for back in (1, 0):
        keys *= CLASSES
        keys += codes[:, last - back : codes.shape[-1] - back]
    return keys


def stretches(split: Split, most: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield codes (B, N + 2), of which the first two come before, and a mask of the others (B, N), false after an end.

    Together they have no more than `most` codes, spread evenly over the split.
    """
    size = int(min(_STRETCH, split.lengths.max(initial=1)))
    crops, plan = Crops(split, size + 1, size), scoring_plan(split.lengths, size, most)
    for first in range(0, len(plan), _TOGETHER):
        batch = crops.__getitems__(plan[first : first + _TOGETHER])
        yield batch.codes, torch.arange(size) < batch.valid[:, None]


def learn_tables(split: Split, most: int = MOST) -> list[Tensor]:
    """Return the bits of a code, float32: unigram (Q,), bigram (Q^2,) and trigram (Q^3,).

    The unigrams are smoothed by one more count of each code; each row of a larger table by one count that is spread as
    the smaller one. Before a recording's start there is silence. Of a split with more than `most` codes, evenly spread
    stretches are read.
    """
    counts = torch.zeros(CLASSES**3, dtype=torch.int32)
    for codes, inside in stretches(split, most):
        # in place: bincount would make a table of 128 MB each time
        counts.scatter_add_(0, table_keys(codes, inside.shape[1]).flatten(), inside.int().flatten())
    pairs = counts.view(CLASSES, -1).sum(0)
    tables, smaller = [], torch.ones(CLASSES)
    for seen in (pairs.view(CLASSES, -1).sum(0), pairs, counts):
        rows = seen.float().view(-1, len(smaller))  # by the oldest code
        rows += smaller
        rows = rows.view(-1, CLASSES)
        rows /= rows.sum(1, keepdim=True)
        smaller = rows.flatten()
        tables.append(smaller.log2().neg_())
    return tables
