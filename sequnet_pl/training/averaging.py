"""Averaged weights: what is validated, saved and sampled, with the score of the other weights beside it."""

from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EMAWeightAveraging, WeightAveraging

from sequnet_pl.data.crops import Batch
from sequnet_pl.errors import UsageError
from sequnet_pl.models.network import Network
from sequnet_pl.training.metrics import BitsPerSample, nats, targets_and_mask
from sequnet_pl.training.module import AudioModule

WITHOUT = "val/bits_per_sample_without_ema"
"""Score of the weights that learn, where `val/bits_per_sample` is that of their average."""


class ScoredEMA(EMAWeightAveraging):
    """Lightning's EMAWeightAveraging, which also scores the weights that are not averaged: a second forward pass.

    Args:
        decay: Share of the average that a step leaves.
        update_every_n_steps: Steps between two updates of the average.
        update_starting_at_step: The first step that is averaged.

    UsageError for numbers that average nothing.
    """

    def __init__(
        self, decay: float = 0.999, update_every_n_steps: int = 1, update_starting_at_step: int | None = None
    ) -> None:
        if not 0 <= decay < 1:
            raise UsageError(f"ema: decay is {decay}, but must be from 0 to below 1")
        if update_every_n_steps < 1:  # which Lightning takes for never, and scores weights that have learnt nothing
            raise UsageError(f"ema: update_every_n_steps is {update_every_n_steps}, but must be 1 or more")
        super().__init__(
            decay=decay, update_every_n_steps=update_every_n_steps, update_starting_at_step=update_starting_at_step
        )
        self._bits = BitsPerSample()

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Score the batch again: during validation the two sets of weights are swapped."""
        if self._average_model is None:
            return
        other = self._average_model.module
        assert isinstance(other, AudioModule)
        with torch.no_grad(), trainer.precision_plugin.forward_context():
            logits = other.network(batch.codes[:, :-1])
        targets, mask = targets_and_mask(batch, logits.shape[-1])
        self._bits.to(logits.device).update(nats(logits, targets), mask)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the score, and swap the weights back."""
        if self._average_model is not None:
            pl_module.log(WITHOUT, self._bits.compute(), batch_size=1, rank_zero_only=True)
            self._bits.reset()
        super().on_validation_epoch_end(trainer, pl_module)


def saved_network(trainer: pl.Trainer, module: AudioModule) -> Network:
    """The network with the weights that a checkpoint would hold in this step of training: averaged where that is on."""
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, WeightAveraging) and callback._average_model is not None:
            averaged = callback._average_model.module
            assert isinstance(averaged, AudioModule)
            return averaged.network
    return module.network
