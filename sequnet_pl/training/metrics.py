"""Metrics whose accumulation adds no error: float64 sums and int64 counts, summed over processes; and n-gram baselines.

The baselines with which a score is compared while a run learns are tables of codes, counted on a part that is quick to
read. Letters: B batch, T time in samples, N targets, Q = 256 classes.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from torchmetrics import Metric

from sequnet_pl.audio.mulaw import CLASSES
from sequnet_pl.data.crops import Batch, Crops
from sequnet_pl.data.datamodule import AudioDataModule
from sequnet_pl.data.entropy import learn_tables, stretches, table_keys
from sequnet_pl.data.store import Split
from sequnet_pl.models.network import Network
from sequnet_pl.models.precision import float32_products
from sequnet_pl.report.charts import REFERENCES

MOST = 30_000_000
"""Codes that are read of a split, half an hour spread evenly; more take long and change little."""


def targets_and_mask(batch: Batch, outputs: int) -> tuple[Tensor, Tensor]:
    """The targets (B, N) int64 of a batch, and which of them count (B, N) bool."""
    targets = batch.codes[:, -outputs:].long()
    return targets, torch.arange(outputs, device=targets.device) < batch.valid[:, None]


def nats(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross entropy (B, N) of each target in nats; at least in float32."""
    precise = torch.promote_types(logits.dtype, torch.float32)
    # over classes side by side in memory, as networks give them: a fifth of the time on a CPU
    rows = torch.log_softmax(logits.transpose(1, 2), dim=-1, dtype=precise).flatten(0, 1)
    return F.nll_loss(rows, targets.flatten(), reduction="none").view(targets.shape)


def margins(logits: Tensor, targets: Tensor) -> Tensor:
    """Difference (B, N) between the largest logit and the target's: 0 where the target is the likeliest code.

    Of equal largest logits, of which bfloat16 has many, only the first is the likeliest code.
    """
    precise = torch.promote_types(logits.dtype, torch.float32)
    rows = logits.transpose(1, 2)
    likeliest = rows.argmax(dim=-1)
    most, chosen = (rows.gather(2, codes.unsqueeze(2)).squeeze(2).to(precise) for codes in (likeliest, targets))
    return torch.where(likeliest == targets, 0, (most - chosen).clamp(min=torch.finfo(precise).tiny))


@float32_products(tf32=False)
@torch.no_grad()
def bits_of_part(
    network: Network, split: Split, recording: int, part: range, outputs: int, batch_size: int, label: int | None = None
) -> float:
    """Return the bits that a network gives to a part of a recording, in batches of crops of `outputs` targets."""
    device, window = next(network.parameters()).device, network.scoring_window(outputs)
    crops, plan = Crops(split, *window), np.array([(recording, start) for start in part[:: window.outputs]])
    bits = 0.0
    for first in range(0, len(plan), batch_size):
        batch = Batch(*(field.to(device) for field in crops.__getitems__(plan[first : first + batch_size])))
        labels = None if label is None else torch.full_like(batch.valid, label)
        logits = network.scored_logits(batch.codes[:, :-1], labels)
        valid = batch.valid.minimum(part.stop - batch.starts)
        targets, mask = targets_and_mask(batch._replace(valid=valid), window.outputs)
        bits += nats(logits, targets)[mask].double().sum().item() / math.log(2)
    return bits


class Mean(Metric):
    """Mean of values over the targets that count."""

    full_state_update = False
    total: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, values: Tensor, mask: Tensor) -> None:
        """Add values (B, N) where `mask` (B, N) is true."""
        self.total += values.double().mul(mask).sum()
        self.count += mask.sum()

    def compute(self) -> Tensor:
        return self.total / self.count


class BinnedSums(Metric):
    """Sums of several values over the targets in each of a fixed number of bins, and how many these are.

    Args:
        values: How many values a target has.
        bins: How many bins there are.
    """

    full_state_update = False
    totals: Tensor
    counts: Tensor

    def __init__(self, values: int, bins: int) -> None:
        super().__init__()
        self.add_state("totals", torch.zeros(values, bins, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("counts", torch.zeros(bins, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, values: Sequence[Tensor], bins: Tensor, mask: Tensor) -> None:
        """Add values, each (B, N), to their bins (B, N) int64 where `mask` (B, N) is true."""
        index = bins.flatten()
        for total, value in zip(self.totals, values, strict=True):  # scatter_add_, since bincount waits for the device
            total.scatter_add_(0, index, value.double().masked_fill(~mask, 0).flatten())
        self.counts.scatter_add_(0, index, mask.long().flatten())

    def compute(self) -> tuple[Tensor, Tensor]:
        """Totals (values, bins) float64 and counts (bins,) int64."""
        return self.totals, self.counts


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
    for codes, inside in stretches(held_out(data), MOST):
        keys = table_keys(codes, inside.shape[1])[inside]
        sums += torch.stack([table[keys % len(table)].double().sum() for table in tables])
        count += len(keys)
    return dict(zip(REFERENCES, (sums / count).tolist(), strict=True))


def code_counts(split: Split) -> NDArray[np.int64]:
    """Count of each of the 256 codes."""
    return sum(
        (np.bincount(codes[:, 2:][inside].numpy(), minlength=CLASSES) for codes, inside in stretches(split, MOST)),
        start=np.zeros(CLASSES, np.int64),
    )
