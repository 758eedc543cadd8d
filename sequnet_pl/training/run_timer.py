"""The time that a run has trained for, the time at which it ends, and how much of its length is behind it."""

import math
from datetime import timedelta

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Timer

from sequnet_pl.errors import UsageError


class RunTimer(Timer):
    """Ends a run after a time of training, between two steps, as `max_steps` does.

    The time includes validation and sampling, and continues where a run is resumed.

    Args:
        duration: As in Lightning's Timer; None never ends the run.
    """

    def __init__(self, duration: str | timedelta | dict[str, int] | None = None) -> None:
        super().__init__(duration)
        left = self.time_remaining()
        if left is not None and left <= 0:
            raise UsageError("a run of no minutes trains nothing: give --minutes above 0")
        self.share = 0.0
        """Share of the time that has passed at the newest step, the same in all processes; 0 without a duration."""

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # type: ignore[override]
        """End at once if a resumed run has no time left."""
        self._measure(trainer)
        self._end_if_due(trainer)

    def on_before_optimizer_step(self, trainer: pl.Trainer, *_: object, **__: object) -> None:
        self._measure(trainer)  # for the schedule of the learning rate, which reads it after the step

    def on_train_batch_end(self, trainer: pl.Trainer, *args: object, **kwargs: object) -> None:
        self._end_if_due(trainer)

    def _measure(self, trainer: pl.Trainer) -> None:
        left = self.time_remaining()
        if left is not None:
            elapsed = self.time_elapsed()
            self.share = float(trainer.strategy.broadcast(elapsed / (elapsed + left)))

    def _end_if_due(self, trainer: pl.Trainer) -> None:
        if self.share >= 1:
            # not should_stop, which validates on all recordings, however short the run was
            trainer.fit_loop.epoch_loop.max_steps = trainer.global_step


def run_share(trainer: pl.Trainer) -> float:
    """Return the share of a run's length that has passed, by steps or by time, whichever is larger."""
    steps = trainer.estimated_stepping_batches
    by_steps = trainer.global_step / steps if math.isfinite(steps) and steps else 0.0
    return max([by_steps, *(each.share for each in trainer.callbacks if isinstance(each, RunTimer))])  # type: ignore[attr-defined]
