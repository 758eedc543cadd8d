"""Muon (Jordan et al. 2024): steps of weights between hidden frames are orthogonal matrices; all else learns by Adam.

An optimizer has one rate for all, Adam's: what sets it, a schedule or Lightning's learning rate finder, scales both.
"""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim.adam import adam

MOMENTUM = 0.95


class MuonAndAdam(torch.optim.Optimizer):
    """Muon for some weights (C', C, K), AdamW for the other parameters, in groups of one optimizer.

    Args:
        matrices: The weights that Muon moves, by how many matrices (rows, C x K) each holds along C'.
        others: The groups that Adam moves.
        lr: Adam's rate.
        muon: Muon's rate where Adam's is `lr`.
        beta2, eps: Of Adam.
        weight_decay: Of `matrices`; other groups have their own.
    """

    def __init__(
        self,
        matrices: dict[int, list[Tensor]],
        others: list[dict[str, Any]],
        lr: float,
        muon: float,
        beta2: float,
        eps: float,
        weight_decay: float,
    ) -> None:
        groups = [
            {"params": weights, "matrices": count, "fused": False, "weight_decay": weight_decay}
            for count, weights in matrices.items()
        ]
        defaults = {"lr": lr, "ratio": muon / lr, "betas": (0.9, beta2), "eps": eps, "matrices": 0, "fused": True}
        super().__init__([*others, *groups], defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """See Optimizer."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            learnt = [(parameter, parameter.grad) for parameter in group["params"] if parameter.grad is not None]
            (self._muon if group["matrices"] else self._adam)(group, learnt)
        return loss

    def _adam(self, group: dict[str, Any], learnt: list[tuple[Tensor, Tensor]]) -> None:
        for parameter, _ in learnt:
            if not self.state[parameter]:
                self.state[parameter] = {
                    "step": torch.zeros((), device=parameter.device),
                    "exp_avg": torch.zeros_like(parameter),
                    "exp_avg_sq": torch.zeros_like(parameter),
                }
        averages, squares, steps = (
            [self.state[parameter][name] for parameter, _ in learnt] for name in ("exp_avg", "exp_avg_sq", "step")
        )
        adam(
            [parameter for parameter, _ in learnt],
            [gradient for _, gradient in learnt],
            averages,
            squares,
            [],
            steps,
            fused=True,
            decoupled_weight_decay=True,
            amsgrad=False,
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            maximize=False,
        )

    def _muon(self, group: dict[str, Any], learnt: list[tuple[Tensor, Tensor]]) -> None:
        rate = group["lr"] * group["ratio"]
        same_shape: dict[torch.Size, list[tuple[Tensor, Tensor]]] = defaultdict(list)
        for weight, gradient in learnt:
            same_shape[weight.shape].append((weight, gradient))
        for shape, some in same_shape.items():
            nesterov = torch.stack([self._nesterov(weight, gradient) for weight, gradient in some])
            steps = orthogonal(nesterov.view(len(some) * group["matrices"], -1, shape[1:].numel()))
            factor = max(1.0, steps.shape[1] / steps.shape[2]) ** 0.5
            for (weight, _), change in zip(some, steps.reshape(nesterov.shape), strict=True):  # (C', C, K)
                weight.mul_(1 - rate * group["weight_decay"]).add_(change, alpha=-rate * factor)

    def _nesterov(self, weight: Tensor, gradient: Tensor) -> Tensor:
        if not self.state[weight]:
            self.state[weight] = {"momentum": torch.zeros_like(weight)}
        momentum = self.state[weight]["momentum"].lerp_(gradient, 1 - MOMENTUM)
        return torch.lerp(gradient, momentum, MOMENTUM)


def orthogonal(matrices: Tensor) -> Tensor:
    """Matrices (N, rows, columns) with all singular values moved to between 0.7 and 1.2; zeros stay zeros.

    Five Newton-Schulz steps, whose coefficients are chosen to rise steeply and not to converge; in bfloat16 on a GPU.
    """
    x = matrices.to(torch.bfloat16 if matrices.is_cuda else torch.promote_types(matrices.dtype, torch.float32))
    wide = x.shape[1] <= x.shape[2]
    x = x if wide else x.mT
    x = x / torch.linalg.matrix_norm(x, keepdim=True).clamp(min=torch.finfo(x.dtype).tiny)
    for _ in range(5):
        square = x @ x.mT
        x = 3.4445 * x + torch.baddbmm(square, square, square, beta=-4.7750, alpha=2.0315) @ x
    return (x if wide else x.mT).to(matrices.dtype)
