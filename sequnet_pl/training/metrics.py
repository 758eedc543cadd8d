"""Metrics whose accumulation adds no error: float64 sums and int64 counts, summed over processes.

Letters: B batch, N targets, Q = 256 classes.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics import Metric

from sequnet_pl.data.crops import Batch


def targets_and_mask(batch: Batch, outputs: int) -> tuple[Tensor, Tensor]:
    """The targets (B, N) int64 of a batch, and which of them count (B, N) bool."""
    targets = batch.codes[:, -outputs:].long()
    return targets, torch.arange(outputs, device=targets.device) < batch.valid[:, None]


def nats(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross entropy (B, N) of each target in nats; at least in float32, whatever the logits' type."""
    precise = torch.promote_types(logits.dtype, torch.float32)
    # over classes side by side in memory, as networks give them: a fifth of the time on a CPU
    rows = torch.log_softmax(logits.transpose(1, 2), dim=-1, dtype=precise).flatten(0, 1)
    return F.nll_loss(rows, targets.flatten(), reduction="none").view(targets.shape)


def margins(logits: Tensor, targets: Tensor) -> Tensor:
    """How far (B, N) the largest logit lies above the target's: 0 where the target is the likeliest code."""
    precise = torch.promote_types(logits.dtype, torch.float32)
    chosen = logits.gather(1, targets.unsqueeze(1)).squeeze(1)
    return logits.amax(dim=1).to(precise) - chosen.to(precise)  # argmax along a dimension that is not the last is slow


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
