"""Optimization of networks: Adam as published, and options that improve it, all off by default."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch
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

        Embeddings and biases do not decay. `fused` makes a step of Adam four times as fast.
        """
        options = {"lr": lr, "betas": (0.9, self.beta2), "eps": self.eps, "fused": fused}
        slow = network.slow_parameters()
        if not self.weight_decay and not self.muon and not slow:
            return torch.optim.Adam(network.parameters(), **options)
        matrices = network.matrices() if self.muon else {}
        # without a decay, as in checkpoints of older runs, those of linear layers are in the second group
        kinds = (nn.Conv1d, nn.Linear) if self.weight_decay else nn.Conv1d
        weights = {id(layer.weight) for layer in network.modules() if isinstance(layer, kinds)}
        moved = {id(weight) for some in matrices.values() for weight in some}
        moved |= {id(parameter) for parameter in slow}
        others = [parameter for parameter in network.parameters() if id(parameter) not in moved]
        groups = [
            {"params": [p for p in others if id(p) in weights], "weight_decay": self.weight_decay},
            {"params": [p for p in others if id(p) not in weights], "weight_decay": 0.0},
        ]
        if slow:
            groups.append({"params": slow, "name": "recurrences", "weight_decay": 0.0, "lr": _SLOW * lr})
        if self.muon:
            return MuonAndAdam(matrices, groups, lr, self.muon, self.beta2, self.eps, self.weight_decay)
        return torch.optim.AdamW(groups, **options)

    @property
    def scheduled(self) -> bool:
        """True if the rate changes at all."""
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
