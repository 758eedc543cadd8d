"""How networks learn: Adam as published, what makes it better, each off unless asked for, and the length of a run."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import timedelta

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Timer
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from sequnet_pl.errors import UsageError
from sequnet_pl.models.network import Network
from sequnet_pl.training.muon import MuonAndAdam

LEARNING = (
    *("lr", "eps", "beta2", "weight_decay", "warmup", "anneal", "muon"),
    *("code_frequency", "checkpoint_activations", "compile", "label_names"),
)
"""Names of the arguments with which every network is trained."""
_PARTS = 1_000_000
"""Steps of a schedule over time alone."""

_SLOW = 0.4  # share of Adam's rate


@dataclass(frozen=True)
class Optimization:
    """Settings of the optimizer and its schedule; UsageError where one makes no sense. See AudioModule."""

    lr: float
    eps: float
    beta2: float
    weight_decay: float
    warmup: float
    anneal: bool
    muon: float = 0.0

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if name in ("lr", "eps") and value <= 0:
                raise UsageError(f"{name} is {value}, but must be more than 0")
            if name in ("beta2", "warmup") and not 0 <= value < 1:
                raise UsageError(f"{name} is {value}, but must be from 0 to below 1")
            if value < 0:
                raise UsageError(f"{name} is {value}, but must be 0 or more")

    def optimizer(self, network: Network, lr: float, fused: bool = True) -> torch.optim.Optimizer:
        """Return AdamW, Adam if no weight decays, and if `muon` is set, Muon for some of the weights.

        Embeddings and biases do not decay. `fused` makes a step of Adam four times as fast; Lightning does not clip
        gradients of a fused optimizer in float16.
        """
        options = {"lr": lr, "betas": (0.9, self.beta2), "eps": self.eps, "fused": fused}
        slow = network.slow_parameters()
        if not self.weight_decay and not self.muon and not slow:
            return torch.optim.Adam(network.parameters(), **options)
        matrices = network.matrices() if self.muon else {}
        convolutions = {id(layer.weight) for layer in network.modules() if isinstance(layer, nn.Conv1d)}
        moved = {id(weight) for weights in matrices.values() for weight in weights}
        moved |= {id(parameter) for parameter in slow}
        others = [parameter for parameter in network.parameters() if id(parameter) not in moved]
        groups = [
            {"params": [p for p in others if id(p) in convolutions], "weight_decay": self.weight_decay},
            {"params": [p for p in others if id(p) not in convolutions], "weight_decay": 0.0},
        ]
        if slow:
            groups.append({"params": slow, "weight_decay": 0.0, "lr": _SLOW * lr})
        if self.muon:
            return MuonAndAdam(matrices, groups, lr, self.muon, self.beta2, self.eps, self.weight_decay)
        return torch.optim.AdamW(groups, **options)

    @property
    def scheduled(self) -> bool:
        """Whether the rate changes at all."""
        return bool(self.warmup or self.anneal)

    def schedule(
        self, optimizer: torch.optim.Optimizer, steps: float, passed: Callable[[], float] | None = None
    ) -> LambdaLR:
        """Return the schedule of the rate over all steps of a run.

        Args:
            optimizer: The optimizer.
            steps: Number of steps; infinite if a time ends the run.
            passed: Returns the share of the run's time that has passed; the rate follows it where it is ahead of that
                of the steps.
        """
        length = int(steps) if math.isfinite(steps) else _PARTS
        rise = round(self.warmup * length)

        def factor(step: float) -> float:
            if step < rise:
                return (step + 1) / rise
            if not self.anneal:
                return 1.0
            return (1 + math.cos(math.pi * min(1.0, (step - rise) / max(1, length - rise)))) / 2

        def at(step: int) -> float:
            by_time = length * passed() if passed else 0.0
            return factor(max(step, by_time) if math.isfinite(steps) else by_time)

        return LambdaLR(optimizer, at)


class RunTimer(Timer):
    """Ends a run after a time of training, between two steps, as `max_steps` does.

    The time includes validation and sampling, and continues where a run is resumed.

    Args:
        duration: As in Lightning's Timer; None never ends the run.
    """

    def __init__(self, duration: str | timedelta | dict[str, int] | None = None) -> None:
        super().__init__(duration)
        left = self.time_remaining()
        if left is not None and left <= 0:
            raise UsageError("a run of no minutes trains nothing: give --minutes above 0")
        self.share = 0.0
        """Share of the time that has passed at the newest step, the same in all processes; 0 without a duration."""

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # type: ignore[override]
        """End at once if a resumed run has no time left."""
        self._measure(trainer)
        self._end_if_due(trainer)

    def on_before_optimizer_step(self, trainer: pl.Trainer, *_: object, **__: object) -> None:
        self._measure(trainer)  # for the schedule of the learning rate, which reads it after the step

    def on_train_batch_end(self, trainer: pl.Trainer, *args: object, **kwargs: object) -> None:
        self._end_if_due(trainer)

    def _measure(self, trainer: pl.Trainer) -> None:
        left = self.time_remaining()
        if left is not None:
            elapsed = self.time_elapsed()
            self.share = float(trainer.strategy.broadcast(elapsed / (elapsed + left)))

    def _end_if_due(self, trainer: pl.Trainer) -> None:
        if self.share >= 1:
            # not should_stop, which validates on all recordings, however short the run was
            trainer.fit_loop.epoch_loop.max_steps = trainer.global_step


def run_share(trainer: pl.Trainer) -> float:
    """Return the share of a run's length that has passed, by steps or by time, whichever is larger."""
    steps = trainer.estimated_stepping_batches
    by_steps = trainer.global_step / steps if math.isfinite(steps) and steps else 0.0
    return max([by_steps, *(each.share for each in trainer.callbacks if isinstance(each, RunTimer))])  # type: ignore[attr-defined]
