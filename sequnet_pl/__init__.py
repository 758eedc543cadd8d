"""Seq-U-Net and WaveNet on raw audio, one sample at a time, with PyTorch Lightning."""

from contextlib import ExitStack

from sequnet_pl.interrupts import loading, module_to_run
from sequnet_pl.waiting import wait_passively

__version__ = "0.1.0"

wait_passively()  # here, since every entry loads this before it loads torch

_loading = ExitStack()
if _command := module_to_run():
    _loading.enter_context(loading(_command.removeprefix("sequnet_pl.")))

loaded = _loading.close
"""To be called when a command of this package begins: a signal is its own from then on."""
