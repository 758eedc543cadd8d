"""Reasons to end a run: numbers that are not finite, a loss that stays high, and errors that a user can correct."""

import logging
import math
import re
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor, distributed
from torch.optim import Optimizer

from sequnet_pl.data.crops import Batch
from sequnet_pl.errors import UsageError, UserError
from sequnet_pl.limits import NonNegativeFloat, NonNegativeInt
from sequnet_pl.training.checkpoints import LAST
from sequnet_pl.training.measures import row_is_due
from sequnet_pl.training.module import AudioModule, data_of, ends_step
from sequnet_pl.training.run_timer import run_share

log = logging.getLogger(__name__)

DIVERGED_STEPS = 50
"""Steps in a row with a high loss that end a run."""
_NO_MEMORY = re.compile("can't allocate memory|not enough memory")  # torch has no class for this error on a CPU


class NonFiniteError(UserError):
    """A run that computes no numbers any more; the last checkpoint from before is kept."""


def norm_of(tensors: Iterable[Tensor]) -> float:
    """Return the norm of all numbers in all tensors, not finite where one is not; waits for the device."""
    return torch.nn.utils.get_total_norm(tensors).item()


class NonFinite(Callback):
    """Ends a run, before the weights are touched, where loss or gradients are not finite, and names the batch.

    A run whose mean loss over all processes stays high after the warm-up has diverged, and ends too.

    Args:
        skip: Steps to skip in all, where numbers are not finite, before one ends the run.
        bits: Bits per sample above which 50 steps in a row end the run; 0 never ends it.
    """

    def __init__(self, skip: NonNegativeInt = 0, bits: NonNegativeFloat = 10.0) -> None:
        self.skip, self.skipped, self.bits = skip, 0, bits
        self._high: Tensor | int = 0  # steps in a row whose loss is above `bits`; on the device
        self._batches: list[Batch] = []  # of the step under way, which may accumulate several
        self._losses: list[Tensor] = []

    def state_dict(self) -> dict[str, Any]:
        return {"skipped": self.skipped}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.skipped = state_dict["skipped"]

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        if batch_idx % trainer.accumulate_grad_batches == 0:
            self._batches, self._losses = [], []
        self._batches.append(batch)

    def on_before_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: Tensor) -> None:
        self._losses.append(loss.detach())  # read only where gradients are not finite, as it waits for the device

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Optimizer
    ) -> None:
        """Check the norm of the gradients, the same in all processes and before clipping; log it where a row is due."""
        norm = norm_of(parameter.grad for parameter in pl_module.parameters() if parameter.grad is not None)
        if math.isfinite(norm):
            if row_is_due(trainer, trainer.global_step + 1):
                pl_module.log("train/gradient_norm", norm, batch_size=1)
            return
        own = [_described(trainer, *pair) for pair in zip(self._batches, self._losses, strict=True)]
        gathered = [own] * trainer.world_size
        if trainer.world_size > 1:
            distributed.all_gather_object(gathered, own)
        batches = [batch for of_process in gathered for batch in of_process]
        blamed = [text for text, is_nonfinite in batches if is_nonfinite]
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
        """True if the loss of the newest steps is above `bits`; the same in all processes. Waits for the device."""
        return int(self._high) > 0

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any, **__: Any) -> None:
        """Count steps with a high loss on the device, and read the count when a row is due."""
        assert isinstance(pl_module, AudioModule)
        steps = ends_step(trainer)
        if not self.bits or run_share(trainer) < pl_module.hparams["warmup"]:
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
    path = Path(getattr(trainer.checkpoint_callback, "dirpath", None) or ".") / LAST
    lr = f"--lr {trainer.lightning_module.hparams['lr'] / 3:.1g}"
    return f"start a new run with --init_from {path} {lr}" if path.is_file() else f"start again with {lr}"


def _described(trainer: pl.Trainer, batch: Batch, loss: Tensor) -> tuple[str, bool]:
    """The recordings and positions of a batch, and whether its loss is not finite."""
    recordings = data_of(trainer).splits["train"].recordings
    crops = [
        f"{recordings[recording].source} from sample {start:,}"
        for recording, start in zip(batch.recordings.tolist(), batch.starts.tolist(), strict=True)
        if recording >= 0
    ]
    return ", ".join(crops), not math.isfinite(loss.item())


def explained(error: BaseException, trainer: pl.Trainer) -> UserError | None:
    """Return the error that a user can correct, if it is one of these."""
    text, modules = " ".join(str(error).split()), _modules(error)
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)) or _NO_MEMORY.search(text):
        return _out_of_memory(trainer)
    if isinstance(error, RuntimeError) and modules[-1].startswith("torch.utils.data"):
        return UserError(
            f"a process that loads batches has ended, most likely because memory ran out ({text[:120]}); "
            "try fewer --num_workers, and resume with --ckpt_path last"
        )
    if isinstance(error, RuntimeError) and trainer.world_size > 1 and _is_of_exchange(error, modules[-1]):
        return UserError(
            f"process {trainer.global_rank} of {trainer.world_size} has lost another one, which ended or was killed "
            f"({text[:120]}): look for its own message, and resume with --ckpt_path last"
        )
    return library_message(error)


def _is_of_exchange(error: RuntimeError, module: str) -> bool:
    """Return whether an error is of an exchange with other processes; that of gradients is in the backward pass."""
    in_backward = isinstance(error, distributed.DistError) or "gloo" in str(error)
    return module.startswith("torch.distributed") or (module.startswith("torch.autograd") and in_backward)


def library_message(error: BaseException) -> UserError | None:
    """Return the message of an error that Lightning raises about settings, or W&B; other errors may wrap it."""
    libraries = [module.partition(".")[0] for module in _modules(error)]
    text = " ".join(str(error).split())
    if libraries[-1] in ("pytorch_lightning", "lightning_fabric"):
        return UsageError(text)
    if "wandb" in libraries and not isinstance(error, OSError):
        return UserError(f"W&B: {text}; --logger none trains without it")
    return library_message(error.__cause__) if error.__cause__ else None


def _modules(error: BaseException) -> list[str]:
    """Return the names of the modules that an error has passed, the innermost last; an empty name for none."""
    return ["", *(frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__))]


def _out_of_memory(trainer: pl.Trainer) -> UserError:
    data, recomputes = data_of(trainer), trainer.lightning_module.hparams["checkpoint_activations"]
    ways = "a smaller --batch_size (and --trainer.accumulate_grad_batches for as large a step), a smaller --output_size"
    if str(trainer.precision) not in ("bf16-mixed", "16-mixed"):
        ways += ", --precision bf16-mixed"
    if not recomputes:
        ways += ", --checkpoint_activations"
    return UserError(
        f"out of memory with batch_size {data.batch_size}, output_size {data.hparams['output_size']}, precision "
        f"{trainer.precision}, checkpoint_activations {recomputes}: try {ways}; resume with --ckpt_path last"
    )
