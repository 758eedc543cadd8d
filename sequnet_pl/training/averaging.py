"""Exponential moving average of the weights: validated, saved and sampled in place of the weights that are trained."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytorch_lightning as pl
from pytorch_lightning.callbacks import EMAWeightAveraging, WeightAveraging

from sequnet_pl.training.module import callbacks_of

ScoredEMA = EMAWeightAveraging
"""Name of the class in config.yaml of older runs."""


@contextmanager
def averaged_weights(trainer: pl.Trainer, module: pl.LightningModule) -> Iterator[None]:
    """Give a module, meanwhile, the weights that a checkpoint would hold: averaged where averaging is on."""
    averaging = callbacks_of(trainer, WeightAveraging)
    for callback in averaging:
        callback.on_validation_epoch_start(trainer, module)  # swaps the two sets of weights
    try:
        yield
    finally:
        for callback in averaging:
            callback.on_validation_epoch_end(trainer, module)
