"""Recognition by a network with labels: the label with which a recording takes the fewest bits."""

import math

import numpy as np
import pytorch_lightning as pl
import torch

from sequnet_pl.data.crops import Batch, Crops, scoring_plan
from sequnet_pl.data.datamodule import AudioDataModule
from sequnet_pl.models.precision import float32_products
from sequnet_pl.report.scores import Recognition
from sequnet_pl.training.metrics import nats, targets_and_mask
from sequnet_pl.training.module import AudioModule, data_of


@torch.no_grad()
def recognise(trainer: pl.Trainer, module: AudioModule, most: int | None) -> Recognition | None:
    """Score recordings of the test split with each label, and with none; each process takes its share.

    Args:
        trainer: That of the test.
        module: Its module.
        most: Recordings that are scored at most, spread evenly; None takes all, 0 none.

    Returns:
        None where the network has fewer than two labels, or no recording has one of them.
    """
    numbers = module.recording_labels("test")
    labelled = np.flatnonzero(numbers)
    if not len(labelled) or len(module.label_names) < 2 or (most is not None and most < 1):
        return None
    if most is not None and most < len(labelled):
        labelled = labelled[np.linspace(0, len(labelled) - 1, most).round().astype(int)]
    sums = torch.zeros(4, dtype=torch.float64, device=module.device)  # right, samples, bits with the label and without
    for recording in labelled[trainer.global_rank :: trainer.world_size].tolist():
        bits, samples = _bits_by_label(module, data_of(trainer), recording)
        label = numbers[recording]
        right = float(bits[1:].argmin() + 1 == label)
        sums += torch.tensor([right, samples, bits[label], bits[0]], dtype=torch.float64, device=module.device)
    right, samples, bits, unlabelled = trainer.strategy.reduce(sums, reduce_op="sum").tolist()
    return Recognition(
        recordings=len(labelled),
        labels=len(module.label_names),
        accuracy=right / len(labelled),
        bits_per_sample=bits / samples,
        unlabelled_bits_per_sample=unlabelled / samples,
    )


def _bits_by_label(module: AudioModule, data: AudioDataModule, recording: int) -> tuple[torch.Tensor, int]:
    """Return the bits of a recording with no label and with each (1 + labels,), and how many samples these are of."""
    split, window = data.splits["test"], module.network.scoring_window(data.hparams["output_size"])
    plan = scoring_plan(split.lengths[recording : recording + 1], window.outputs)
    plan[:, 0] = recording
    bits, samples = torch.zeros(1 + len(module.label_names), dtype=torch.float64), 0
    for first in range(0, len(plan), data.batch_size):
        batch = Crops(split, *window).__getitems__(plan[first : first + data.batch_size])
        batch = Batch(*(field.to(module.device) for field in batch))
        targets, mask = targets_and_mask(batch, window.outputs)
        samples += int(mask.sum())
        for label in range(len(bits)):
            labels = torch.full((len(targets),), label, device=module.device)
            with float32_products(tf32=False):
                logits = module.network.scored_logits(batch.codes[:, :-1], labels)
            bits[label] += (nats(logits, targets).double() * mask).sum().cpu() / math.log(2)
    return bits, samples
