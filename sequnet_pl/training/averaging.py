"""Exponential moving average of the weights: validated, saved and sampled in place of the weights that are trained."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytorch_lightning as pl
from pytorch_lightning.callbacks import EMAWeightAveraging, WeightAveraging

ScoredEMA = EMAWeightAveraging
"""Name of the class in config.yaml of older runs."""


@contextmanager
def averaged_weights(trainer: pl.Trainer, module: pl.LightningModule) -> Iterator[None]:
    """Give a module, meanwhile, the weights that a checkpoint would hold: averaged where averaging is on."""
    averaging = [callback for callback in trainer.callbacks if isinstance(callback, WeightAveraging)]  # type: ignore[attr-defined]
    for callback in averaging:
        callback.on_validation_epoch_start(trainer, module)  # swaps the two sets of weights
    try:
        yield
    finally:
        for callback in averaging:
            callback.on_validation_epoch_end(trainer, module)
