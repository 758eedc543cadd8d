"""Seq-U-Net and WaveNet on raw audio, one sample at a time, with PyTorch Lightning."""

from sequnet_pl.waiting import wait_passively

wait_passively()  # here, since every entry loads this before it loads torch
