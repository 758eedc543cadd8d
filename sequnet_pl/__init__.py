"""Seq-U-Net and WaveNet on raw audio, one sample at a time, with PyTorch Lightning."""

import os
from contextlib import ExitStack

from sequnet_pl.interrupts import loading, module_to_run

__version__ = "0.1.0"

_PASSIVE = {
    "OMP_WAIT_POLICY": "PASSIVE",
    "GOMP_SPINCOUNT": "3000",  # GNU's: spins before a thread sleeps
    "KMP_BLOCKTIME": "0",  # LLVM's and Intel's: milliseconds
}
if not _PASSIVE.keys() & os.environ.keys():  # by default a thread that waits spins, even for one that needs its core
    os.environ.update(_PASSIVE)  # here, since every entry loads this before it loads torch

_loading = ExitStack()
if _command := module_to_run():
    _loading.enter_context(loading(_command.removeprefix("sequnet_pl.")))

loaded = _loading.close
"""Called when a command of this package starts, which handles signals from then on."""
