"""Sampling of codes from logits: one uniform number a clip and sample, by the inverse of the cumulative distribution.

Letters: B clips, T time, Q = 256 classes.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sequnet_pl.audio.mulaw import CLASSES
from sequnet_pl.errors import UsageError


@dataclass(frozen=True)
class SamplingParams:
    """Parameters of sampling. Raises UsageError if one is out of range.

    Args:
        temperature: Divides the logits; 0 always takes the likeliest code.
        top_k: Only the k likeliest codes are drawn.
        top_p: Only the likeliest codes are drawn that together reach this probability.
    """

    temperature: float = 1.0
    top_k: int = CLASSES
    top_p: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < float("inf"):
            raise UsageError(f"temperature is {self.temperature}, but must be 0 (the likeliest code, always) or more")
        if not 1 <= self.top_k <= CLASSES:
            raise UsageError(f"top_k is {self.top_k}, but must be from 1 to {CLASSES}")
        if not 0 < self.top_p <= 1:
            raise UsageError(f"top_p is {self.top_p}, but must be above 0 and at most 1")


class CounterRng:
    """Counter-based generator of uniform numbers, which depend on (seed, clip, time) only, not on the batch.

    Args:
        seed: Any integer from 0.
        clips: The number of each clip of the batch.
    """

    def __init__(self, seed: int, clips: Sequence[int]) -> None:
        if seed < 0:
            raise UsageError(f"seed is {seed}, but must be 0 or more")
        self.seed, self.clips = seed, tuple(clips)

    def uniform(self, time: int, count: int) -> Tensor:
        """Numbers in [0, 1), (B, T) float64, of `count` samples from `time` on, counted from the first drawn one."""
        rows = []
        for clip in self.clips:
            key = np.array([self.seed % 2**64, clip], np.uint64)
            bits = np.random.Philox(key=key)  # counter-based: any time is as quick to reach
            bits.advance(time // 4)  # four numbers a count
            rows.append(np.random.Generator(bits).random(time % 4 + count)[time % 4 :])
        return torch.from_numpy(np.stack(rows))


def draw(logits: Tensor, uniform: Tensor, params: SamplingParams) -> Tensor:
    """Codes (B,) int64 from logits (B, Q) and uniform numbers (B,)."""
    if params.temperature == 0:
        return logits.argmax(dim=-1)
    logits = logits.double() / params.temperature
    if params.top_k < CLASSES:
        logits = logits.masked_fill(logits < logits.topk(params.top_k).values[:, -1:], -torch.inf)
    if params.top_p < 1:
        likeliest, order = logits.softmax(dim=-1).sort(dim=-1, descending=True)
        beyond = likeliest.cumsum(dim=-1) - likeliest >= params.top_p
        logits = logits.masked_fill(beyond.gather(1, order.argsort(dim=-1)), -torch.inf)
    cumulative = logits.softmax(dim=-1).cumsum(dim=-1)
    # the sum may end a rounding below 1: scaled by it, no number falls beyond the last possible code
    return (cumulative <= uniform.unsqueeze(-1) * cumulative[:, -1:]).sum(dim=-1).clamp_(max=CLASSES - 1)


_FORMER = {"Drawing": SamplingParams, "Noise": CounterRng}


def __getattr__(name: str) -> Any:
    """Names of an earlier version."""
    if name not in _FORMER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warnings.warn(f"{name} is called {_FORMER[name].__name__} now", DeprecationWarning, stacklevel=2)
    return _FORMER[name]
