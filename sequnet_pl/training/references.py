"""What a score is compared with while a run learns: tables of codes, counted on a part that is quick to read."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sequnet_pl.data.crops import scoring_plan
from sequnet_pl.data.datamodule import AudioDataModule
from sequnet_pl.data.entropy import pair_counts, table_entropies
from sequnet_pl.data.store import Split

MOST = 30_000_000
"""Codes that are counted of a split, half an hour; more take long and change the tables little."""
_STRETCH = 100_000


def held_out(data: AudioDataModule) -> Split:
    """The recordings that are not learnt from: of val, else test; those of train where there are no others."""
    return next(data.splits[name] for name in ("val", "test", "train") if len(data.splits[name].lengths))


def references(data: AudioDataModule) -> dict[str, float]:
    """Bits per sample on held-out recordings of tables learnt on train, by the names that they are logged under."""
    single, pairs = table_entropies(pair_counts(part(data.splits["train"])), pair_counts(part(held_out(data))))
    return {"reference/single_codes": single, "reference/code_pairs": pairs}


def code_counts(split: Split) -> NDArray[np.int64]:
    """How often each of the 256 codes occurs."""
    return pair_counts(part(split)).sum(axis=0)


def part(split: Split, most: int = MOST) -> Split:
    """No more than about so many codes of a split: stretches that are spread evenly over its recordings."""
    if split.lengths.sum() <= most:
        return split
    stretches = []
    for recording, start in scoring_plan(split.lengths, _STRETCH, most).tolist():
        whole = split.recordings[recording]
        length = min(_STRETCH, whole.length - start)
        stretches.append(replace(whole, offset=whole.offset + start, length=length))
    return Split(split.path, split.length, tuple(stretches))
