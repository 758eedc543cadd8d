"""Precision of float32 products on GPUs."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def float32_products(*, tf32: bool) -> Iterator[None]:
    """Allow or forbid TF32 (10 bits) in float32 products on a GPU within the block; restores the setting afterwards.

    Training allows it: it is up to eight times as fast. Scoring and sampling do not: a step would differ from a whole
    window by more than 1e-4. PyTorch's defaults differ for convolutions and matrix products. The older of its two
    settings is used: they cannot be mixed, and its compiler and Lightning read the older one.
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
