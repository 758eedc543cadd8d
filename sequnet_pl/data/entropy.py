"""What a score means: the bits per sample of simple tables of codes, learnt on one split and scored on another."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from sequnet_pl.audio.mulaw import CLASSES, SILENCE
from sequnet_pl.data.store import Split

_PIECE = 16_000_000  # codes at a time, so that memory stays bounded


def pair_counts(split: Split) -> NDArray[np.int64]:
    """How often each code (second axis) comes after each (first axis); before a recording's start lies silence."""
    counts = np.zeros(CLASSES * CLASSES, dtype=np.int64)
    for before, codes in _pieces(split):
        pairs = codes.astype(np.int64)
        pairs[1:] += CLASSES * codes[:-1].astype(np.int64)
        pairs[0] += CLASSES * before
        counts += np.bincount(pairs, minlength=len(counts))
    return counts.reshape(CLASSES, CLASSES)


def _pieces(split: Split) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """The code before each stretch of codes, and the stretch."""
    for offset, length in zip(split.offsets.tolist(), split.lengths.tolist(), strict=True):
        for start in range(offset, offset + length, _PIECE):
            before = SILENCE if start == offset else int(split.codes[start - 1])
            yield before, np.asarray(split.codes[start : min(start + _PIECE, offset + length)])


def table_entropies(train: NDArray[np.int64], test: NDArray[np.int64]) -> tuple[float, float]:
    """Bits per sample of the test's codes under tables learnt on train (`pair_counts` of each).

    The first table holds single codes, each seen once more than it was; the second codes given the one before, each
    row with one observation's weight of the first table, so that unseen pairs cost many bits, not infinitely many.
    """
    single = train.sum(axis=0) + 1.0
    single /= single.sum()
    rows = train + single
    rows /= rows.sum(axis=1, keepdims=True)
    total = test.sum()
    return (
        float(-(test.sum(axis=0) * np.log2(single)).sum() / total),
        float(-(test * np.log2(rows)).sum() / total),
    )
