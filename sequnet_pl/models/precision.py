"""How exactly GPUs compute with float32."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def float32_products(*, tf32: bool) -> Iterator[None]:
    """Whether a GPU may round what it multiplies in float32 to TF32 (10 bits) meanwhile; afterwards it is as before.

    Training may: it is up to eight times as fast. What is scored, sampled or streamed may not: a step would differ from
    a whole window by more than 1e-4. PyTorch lets convolutions do so and matrix products not, unless told otherwise;
    it has two ways of telling, refuses them mixed, and its compiler and Lightning ask the older one.
    """
    flags: tuple[Any, ...] = torch.backends.cudnn, torch.backends.cuda.matmul
    before = [each.allow_tf32 for each in flags]
    try:
        for each in flags:
            each.allow_tf32 = tf32
        yield
    finally:
        for each, was in zip(flags, before, strict=True):
            each.allow_tf32 = was
