"""The test's score in detail: by recording, by distance from its start, by confidence; exact as the metrics are.

Letters: B batch, N targets. All that is kept has a size fixed beforehand, and nothing waits for the device.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from sequnet_pl.data.crops import Batch
from sequnet_pl.data.entropy import table_keys
from sequnet_pl.training.metrics import BinnedSums

CONFIDENCES = 20
"""Bins of the confidence, each 5 % wide."""
_NEAREST = 16  # samples; what lies nearer to the start is too little to tell apart
_FIELDS = 4  # receptive fields, beyond which distance is told apart no more


def distance_edges(receptive_field: int, longest: int) -> list[int]:
    """Where bins of the distance from a recording's start end, in samples: powers of two; the last bin has no end.

    They end with the first that is four receptive fields or more, and before the end of the `longest` recording.
    """
    count = 1 + max(0, math.ceil(math.log2(_FIELDS * receptive_field / _NEAREST)))
    return [edge for edge in (_NEAREST << power for power in range(count)) if edge < longest]


class Binned(NamedTuple):
    """Totals (values, bins) float64 of values over the targets in each bin, and counts (bins,) int64 of the targets."""

    totals: Tensor
    counts: Tensor

    @property
    def means(self) -> Tensor:
        """Values a target (values, bins); NaN in empty bins."""
        return self.totals / self.counts


class Details:
    """Bits of a network and of tables of codes by recording and by distance, and the network's calibration.

    Args:
        tables: See `learn_tables`; the values are bits of the network, then of each of them.
        recordings: Recordings of the split.
        edges: See `distance_edges`.
        device: Of the batches.
    """

    def __init__(self, tables: Sequence[Tensor], recordings: int, edges: Sequence[int], device: torch.device) -> None:
        self._tables = [table.to(device) for table in tables]
        self._edges = torch.tensor(edges, device=device, dtype=torch.int64)
        values = 1 + len(tables)
        self._by_recording = BinnedSums(values, recordings).to(device)
        self._by_distance = BinnedSums(values, len(edges) + 1).to(device)
        # torchmetrics' MulticlassCalibrationError keeps every prediction, in float32, until the end.
        self._by_confidence = BinnedSums(2, CONFIDENCES).to(device)

    def update(self, batch: Batch, nats: Tensor, margins: Tensor, mask: Tensor) -> None:
        """Add a batch, and what its test step gave: each (B, N)."""
        outputs = nats.shape[-1]
        keys = table_keys(batch.codes, outputs)
        bits = [nats.double() / math.log(2), *(table[keys % len(table)] for table in self._tables)]
        recordings = batch.recordings.clamp(min=0)  # those of empty crops do not count
        self._by_recording.update(bits, recordings[:, None].expand_as(nats), mask)
        distances = batch.starts[:, None] + torch.arange(outputs, device=nats.device)
        self._by_distance.update(bits, torch.bucketize(distances, self._edges, right=True), mask)
        confidence = (margins - nats).exp()  # the probability of the likeliest code, from that of the target
        bins = (confidence * CONFIDENCES).long().clamp(0, CONFIDENCES - 1)
        self._by_confidence.update([confidence, margins == 0], bins, mask)

    def compute(self) -> tuple[Binned, Binned, Binned]:
        """By recording, by distance (both bits), and by confidence (confidence and accuracy), of all processes."""
        sums = (self._by_recording, self._by_distance, self._by_confidence)
        pairs = [metric.compute() for metric in sums]
        return tuple(Binned(totals.cpu(), counts.reshape(-1).cpu()) for totals, counts in pairs)  # type: ignore[return-value]
