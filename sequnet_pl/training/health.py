"""Sick runs: losses and gradients that are not finite, losses that stay high, and data that comes too slowly."""

import logging
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor, distributed
from torch.optim import Optimizer

from sequnet_pl.data.crops import Batch
from sequnet_pl.data.datamodule import AudioDataModule
from sequnet_pl.errors import UsageError, UserError
from sequnet_pl.training.checkpoints import LAST
from sequnet_pl.training.measures import row_is_due
from sequnet_pl.training.module import AudioModule, ends_step
from sequnet_pl.training.run_timer import run_share

log = logging.getLogger(__name__)

DIVERGED_STEPS = 50
"""Steps in a row with a high loss that end a run."""


class NonFiniteError(UserError):
    """A run that computes no numbers any more; the last checkpoint from before is kept."""


def finite(tensors: Iterable[Tensor]) -> bool:
    """Whether all numbers in all tensors are finite, and their squares too; waits for the device."""
    return math.isfinite(_norm(tensors))


def _norm(tensors: Iterable[Tensor]) -> float:
    return torch.nn.utils.get_total_norm(tensors).item()  # ten times as fast as to look at each number


class NonFinite(Callback):
    """Ends a run, before the weights are touched, where loss or gradients are not finite, and names the batch.

    A run whose mean loss over all processes stays high after the warm-up has diverged, and ends too.

    Args:
        skip: So many times in all, leave the step out instead and go on.
        bits: Bits per sample above which 50 steps in a row end the run; 0 never ends it.
    """

    def __init__(self, skip: int = 0, bits: float = 10.0) -> None:
        if skip < 0:
            raise UsageError(f"skip_nonfinite is {skip}, but cannot be below 0")
        if bits < 0:
            raise UsageError(f"nonfinite.bits is {bits}, but cannot be below 0")
        self.skip, self.skipped, self.bits = skip, 0, bits
        self._high: Tensor | int = 0  # steps in a row whose loss is above `bits`; on the device
        self._batches: list[Batch] = []  # of the step under way, which may accumulate several
        self._losses: list[Tensor] = []

    def state_dict(self) -> dict[str, Any]:
        """How many steps have been left out."""
        return {"skipped": self.skipped}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """See `state_dict`."""
        self.skipped = state_dict["skipped"]

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        """Remember the batch."""
        if batch_idx % trainer.accumulate_grad_batches == 0:
            self._batches, self._losses = [], []
        self._batches.append(batch)

    def on_before_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: Tensor) -> None:
        """Remember the loss, without waiting for it."""
        self._losses.append(loss.detach())

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Optimizer
    ) -> None:
        """Look at the gradients, which are the same in all processes, and none finite where a loss is not.

        Their norm, as it is before clipping, is logged where a row is due.
        """
        norm = _norm(parameter.grad for parameter in pl_module.parameters() if parameter.grad is not None)
        if math.isfinite(norm):
            if row_is_due(trainer, trainer.global_step + 1):
                pl_module.log("train/gradient_norm", norm, batch_size=1)
            return
        told = [
            [_described(trainer, *pair) for pair in zip(self._batches, self._losses, strict=True)]
        ] * trainer.world_size
        if trainer.world_size > 1:
            distributed.all_gather_object(told, told[0])
        batches = [batch for of_process in told for batch in of_process]
        blamed = [text for text, sick in batches if sick]
        scaler = getattr(trainer.precision_plugin, "scaler", None)
        if scaler is not None and not blamed:
            return  # too large a scale, which the scaler mends itself
        what = "loss" if blamed else "gradients"
        where = "; ".join(blamed or [text for text, _ in batches])
        message = f"{what} not finite at step {trainer.global_step} (epoch {trainer.current_epoch}), batch of {where}"
        if self.skipped >= self.skip:
            raise NonFiniteError(
                f"{message}. The checkpoints from before are kept: resume with --ckpt_path last and --clip 1, or "
                f"--skip_nonfinite {self.skip + 10} to leave such steps out; or {restart(trainer)}"
            )
        self.skipped += 1
        log.warning("left out a step, %d of %d: %s", self.skipped, self.skip, message)
        optimizer.zero_grad(set_to_none=True)  # optimizers leave parameters without gradients alone

    @property
    def diverging(self) -> bool:
        """Whether the loss of the newest steps is above `bits`; the same in all processes. Waits for the device."""
        return int(self._high) > 0

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Count steps with a high loss on the device, and read the count when a row is due."""
        assert isinstance(pl_module, AudioModule)
        steps = ends_step(trainer)
        if not self.bits or run_share(trainer) <= pl_module.hparams["warmup"]:
            return
        self._high = torch.where(pl_module.batch_bits > self.bits, self._high + steps, 0)
        if steps and row_is_due(trainer, trainer.global_step) and int(self._high) >= DIVERGED_STEPS:
            raise NonFiniteError(
                f"the run has diverged: at step {trainer.global_step} the loss is {pl_module.batch_bits.item():.1f} "
                f"bits per sample, and was above {self.bits:g} in {int(self._high)} steps in a row; {restart(trainer)} "
                "(--nonfinite.bits 0 trains on regardless)"
            )


def restart(trainer: pl.Trainer) -> str:
    """Return how to continue from the newest checkpoint with a lower rate, which a resumed run does not change."""
    last = getattr(trainer.checkpoint_callback, "dirpath", None)
    path = Path(last or ".") / LAST
    lr = trainer.lightning_module.hparams["lr"] / 3
    return (
        f"start a new run with --init_from {path} --lr {lr:.1g}"
        if path.is_file()
        else f"start again with --lr {lr:.1g}"
    )


def _described(trainer: pl.Trainer, batch: Batch, loss: Tensor) -> tuple[str, bool]:
    """The recordings and positions of a batch, and whether its loss is not finite."""
    data = trainer.datamodule  # type: ignore[attr-defined]
    assert isinstance(data, AudioDataModule)
    recordings = data.splits["train"].recordings
    crops = [
        f"{recordings[recording].source} from sample {start:,}"
        for recording, start in zip(batch.recordings.tolist(), batch.starts.tolist(), strict=True)
        if recording >= 0
    ]
    return ", ".join(crops), not math.isfinite(loss.item())
