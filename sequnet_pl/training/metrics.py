"""Metrics whose accumulation adds no error: float64 sums and int64 counts, summed over processes.

Letters: B batch, N targets, Q = 256 classes.
"""

import math

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
    return F.nll_loss(torch.log_softmax(logits, dim=1, dtype=precise), targets, reduction="none")


class _Mean(Metric):
    """Mean of values over the targets that count."""

    full_state_update = False
    total: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def _add(self, values: Tensor, mask: Tensor) -> None:
        self.total += values.double().mul(mask).sum()
        self.count += mask.sum()

    def compute(self) -> Tensor:
        return self.total / self.count


class BitsPerSample(_Mean):
    """Mean cross entropy in bits; 8.0 is a uniform guess, lower is better."""

    def update(self, values: Tensor, mask: Tensor) -> None:
        """Add cross entropies (B, N) in nats where `mask` (B, N) is true."""
        self._add(values.double() / math.log(2), mask)


class Accuracy(_Mean):
    """Share of the codes that the largest logit names (a tie counts)."""

    def update(self, logits: Tensor, targets: Tensor, mask: Tensor) -> None:
        """Add logits (B, Q, N) and targets (B, N) where `mask` (B, N) is true."""
        chosen = logits.gather(1, targets.unsqueeze(1)).squeeze(1)
        self._add(chosen == logits.amax(dim=1), mask)  # argmax along a dimension that is not the last is slow
