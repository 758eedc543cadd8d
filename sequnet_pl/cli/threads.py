"""How many threads a process computes with."""

import os

import torch

from sequnet_pl.errors import UsageError


def use_threads(count: int) -> None:
    """Compute with so many threads on the CPU. UsageError for fewer than one."""
    if count < 1:
        raise UsageError(f"--threads is {count}, but must be 1 or more")
    torch.set_num_threads(count)
    os.environ["OMP_NUM_THREADS"] = str(count)  # else Lightning shares out the cores among its processes
