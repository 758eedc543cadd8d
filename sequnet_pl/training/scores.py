"""The scores of a test beside baselines, and in detail: on the terminal, in test.json, and as a page."""

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from rich.console import Console
from torch import Tensor

from sequnet_pl import atomic
from sequnet_pl.data.crops import Batch
from sequnet_pl.data.entropy import MOST, TABLES, learn_tables, table_keys
from sequnet_pl.data.store import Recording
from sequnet_pl.models import registry
from sequnet_pl.printing import printable
from sequnet_pl.report.page import percent
from sequnet_pl.report.run import link_page
from sequnet_pl.report.run_folder import is_run
from sequnet_pl.report.scores import (
    NETWORK,
    ConfidenceScore,
    DistanceScore,
    LabelScore,
    Recognition,
    RecordingScore,
    Scores,
    print_scores,
    write_score_page,
)
from sequnet_pl.training.metrics import BinnedSums, bits_of_part
from sequnet_pl.training.module import AudioModule, data_of

CONFIDENCES = 20
"""Bins of the confidence, each 5 % wide."""
_NEAREST = 16  # samples; what lies nearer to the start is one bin
_FIELDS = 4  # receptive fields, beyond which all is one bin


def distance_edges(receptive_field: int | None, longest: int) -> list[int]:
    """Ends of the bins of the distance from a recording's start, in samples: powers of two; the last bin has no end.

    They end with the first that is four receptive fields or more, and before the end of the `longest` recording.
    """
    receptive_field = longest if receptive_field is None else receptive_field
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
        """Return bits by recording and by distance, and confidence and accuracy by confidence, of all processes."""
        sums = (self._by_recording, self._by_distance, self._by_confidence)
        pairs = [metric.compute() for metric in sums]
        return tuple(Binned(totals.cpu(), counts.reshape(-1).cpu()) for totals, counts in pairs)  # type: ignore[return-value]


PAGE = "test.html"


class ScoreReport(Callback):
    """Reports the test's score beside uniform and n-gram baselines, and its best and worst recordings.

    Args:
        folder: Where `test.json` and `test.html` go, the run folder. The JSON file has the fields of
            `Scores`, and all that was logged under the loggers' names (`test/bits_per_sample`, `test/accuracy`).
        most_recognised: Recordings that are scored with each label at most, where there are labels; None takes all.
    """

    def __init__(self, folder: Path, most_recognised: int | None = 300) -> None:
        self.folder, self.most_recognised = folder, most_recognised
        self._step: int | None = None

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        self._step = checkpoint.get("global_step")  # which Lightning does not restore for a test

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.is_global_zero and trainer.state.fn == "validate":
            bits, accuracy = (
                float(trainer.callback_metrics[f"val/{name}"]) for name in ("bits_per_sample", "accuracy")
            )
            Console().print(f"validation: {bits:.3f} bits per sample, accuracy {percent(accuracy)}", highlight=False)

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, AudioModule)
        splits = data_of(trainer).splits
        lengths = splits["test"].lengths
        self._edges = distance_edges(pl_module.network.receptive_field, int(lengths.max()))
        self._details = Details(learn_tables(splits["train"]), len(lengths), self._edges, pl_module.device)

    def on_test_batch_end(  # type: ignore[override]
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Mapping[str, Tensor], batch: Batch, *_: int
    ) -> None:
        self._details.update(batch, outputs["nats"], outputs["margins"], outputs["mask"])

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, AudioModule)
        self._sums = self._details.compute()  # over processes, for which all of them are needed
        self._recognition = recognise(trainer, pl_module, self.most_recognised)

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        assert isinstance(pl_module, AudioModule)
        scores = self.scores(trainer, pl_module)
        print_scores(Console(), scores)  # first, since the folder may be one that cannot be written
        logged = {name: _number(value) for name, value in trainer.callback_metrics.items() if name.startswith("test/")}
        atomic.write_text(self.folder / "test.json", json.dumps(asdict(scores) | logged, indent=2))
        write_score_page(self.folder / PAGE, scores)
        if is_run(self.folder):
            link_page(self.folder, "test", self.folder / PAGE)

    def scores(self, trainer: pl.Trainer, module: AudioModule) -> Scores:
        """Results of the test."""
        data, (recordings, distances, confidences) = data_of(trainer), self._sums
        samples = int(recordings.counts.sum())
        network, *tables = (recordings.totals.sum(1) / samples).tolist()
        values = [8.0, *tables, network]
        likeliest, correct = confidences.totals
        return Scores(
            network=registry.name_of(module.network),
            checkpoint=str(trainer.ckpt_path) if trainer.ckpt_path else None,
            step=self._step,
            store=str(data.store),
            fingerprint=data.fingerprint,
            sample_rate=data.hparams["sample_rate"],
            receptive_field=module.network.receptive_field,
            samples=samples,
            bits_per_sample=dict(zip(("uniform baseline", *TABLES, NETWORK), map(_number, values), strict=True)),
            accuracy=_number(correct.sum() / samples),
            expected_calibration_error=_number((likeliest - correct).abs().sum() / samples),
            table_samples=min(MOST, int(data.splits["train"].lengths.sum())),
            recordings=[
                RecordingScore(name=name, **row)
                for name, row in zip(_names(data.splits["test"].recordings), _rows(recordings), strict=True)
            ],
            labels=_label_scores(recordings, module) if module.label_names else (),
            recognition=self._recognition,
            distances=[
                DistanceScore(start=start, end=end, **row)
                for start, end, row in zip([0, *self._edges], [*self._edges, None], _rows(distances), strict=True)
            ],
            calibration=[
                ConfidenceScore(
                    start=index / CONFIDENCES,
                    end=(index + 1) / CONFIDENCES,
                    samples=count,
                    confidence=_number(sure),
                    accuracy=_number(right),
                )
                for index, (count, sure, right) in enumerate(
                    zip(confidences.counts.tolist(), *confidences.means.tolist(), strict=True)
                )
            ],
        )


def _label_scores(recordings: Binned, module: AudioModule) -> list[LabelScore]:
    """Scores by label, from those of the recordings."""
    numbers, names = torch.from_numpy(module.recording_labels("test")), ["", *module.label_names]
    totals = recordings.totals.new_zeros(len(recordings.totals), len(names)).index_add_(1, numbers, recordings.totals)
    samples = recordings.counts.new_zeros(len(names)).index_add_(0, numbers, recordings.counts)
    counts = numbers.bincount(minlength=len(names)).tolist()
    rows = zip(names, counts, _rows(Binned(totals, samples)), strict=True)
    return [LabelScore(name=name, recordings=count, **row) for name, count, row in rows if count]


def _rows(sums: Binned) -> list[dict[str, Any]]:
    """Count, and bits per sample of the network and of the largest table, in each bin."""
    means = sums.means.tolist()
    return [
        {"samples": count, "bits_per_sample": _number(mean), "table_bits_per_sample": _number(table)}
        for count, mean, table in zip(sums.counts.tolist(), means[0], means[-1], strict=True)
    ]


def _names(recordings: Sequence[Recording]) -> list[str]:
    """Paths below the folder that holds all of them; bytes that are no text are spelt out."""
    folder = os.path.commonpath([Path(recording.source).parent for recording in recordings])
    return [printable(os.path.relpath(recording.source, folder)) for recording in recordings]


def _number(value: float | Tensor) -> float | None:
    """None where it is not finite, which JSON does not have."""
    return float(value) if math.isfinite(value) else None


def recognise(trainer: pl.Trainer, module: AudioModule, most: int | None) -> Recognition | None:
    """Score recordings of the test split with each label, and with none; each process takes its share.

    Args:
        trainer: That of the test.
        module: Its module.
        most: Recordings that are scored at most, spread evenly; None takes all, 0 none.

    Returns:
        None where the network has fewer than two labels, or no recording has one of them.
    """
    data, numbers = data_of(trainer), module.recording_labels("test")
    labelled = np.flatnonzero(numbers)
    if not len(labelled) or len(module.label_names) < 2 or (most is not None and most < 1):
        return None
    if most is not None and most < len(labelled):
        labelled = labelled[np.linspace(0, len(labelled) - 1, most).round().astype(int)]
    sums = torch.zeros(4, dtype=torch.float64, device=module.device)  # right, samples, bits with the label and without
    for recording in labelled[trainer.global_rank :: trainer.world_size].tolist():
        samples, label = int(data.splits["test"].lengths[recording]), int(numbers[recording])
        what = module.network, data.splits["test"], recording, range(samples), data.hparams["output_size"]
        bits = [bits_of_part(*what, data.batch_size, each) for each in range(1 + len(module.label_names))]
        right = float(np.argmin(bits[1:]) + 1 == label)
        sums += torch.tensor([right, samples, bits[label], bits[0]], dtype=torch.float64, device=module.device)
    right, samples, bits, unlabelled = trainer.strategy.reduce(sums, reduce_op="sum").tolist()
    return Recognition(
        recordings=len(labelled),
        labels=len(module.label_names),
        accuracy=right / len(labelled),
        bits_per_sample=bits / samples,
        unlabelled_bits_per_sample=unlabelled / samples,
    )
