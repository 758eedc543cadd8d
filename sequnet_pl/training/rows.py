"""Rows of the first and the last step, so that a short run tells as much as a long one."""

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from sequnet_pl.training.final_validation import reached
from sequnet_pl.training.loggers import AppendingCSVLogger
from sequnet_pl.training.measures import Measures

BITS = "train/bits_per_sample"


class FirstAndLastRows(Callback):
    """Has the first and the last step logged, whatever `log_every_n_steps`; stands before the callbacks that log.

    The row of a last step that `log_every_n_steps` would have left out goes where the run goes on.
    """

    def __init__(self) -> None:
        self._every = 1  # as the user has it
        self._every_before = 1  # as it was in the run that goes on
        self._logged = 0  # steps done at the newest row
        self._goes_on = False

    def state_dict(self) -> dict[str, Any]:
        """Steps between two rows."""
        return {"every": self._every}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """See `state_dict`."""
        self._every_before, self._goes_on = state_dict["every"], True

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note what the user has said."""
        self._every = trainer.log_every_n_steps  # type: ignore[attr-defined]

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Have the step logged, where it is the first or the last one."""
        if self._goes_on:
            self._goes_on = False
            if not _regular(trainer.global_step, self._every_before):
                _forget(trainer)
        trainer.log_every_n_steps = 1 if _is_first_or_last(trainer) else self._every  # type: ignore[attr-defined]

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Note whether the step is logged."""
        if trainer._logger_connector.should_update_logs:
            self._logged = trainer.global_step

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the last step where its validation has ended the run."""
        self._restore(trainer)
        step, scores = trainer.global_step, trainer.callback_metrics
        if trainer.should_stop and step != self._logged and BITS in scores:
            measures = next((each for each in trainer.callbacks if isinstance(each, Measures)), None)  # type: ignore[attr-defined]
            row = {BITS: scores[BITS], "epoch": trainer.current_epoch, **(measures.clock(trainer) if measures else {})}
            for logger in trainer.loggers:
                logger.log_metrics({name: float(value) for name, value in row.items()}, step - 1)
                logger.save()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Leave the trainer as it was."""
        self._restore(trainer)

    def _restore(self, trainer: pl.Trainer) -> None:
        trainer.log_every_n_steps = self._every  # type: ignore[attr-defined]


def _is_first_or_last(trainer: pl.Trainer) -> bool:
    """Of the step that the batch under way makes."""
    loop, epochs = trainer.fit_loop.epoch_loop, trainer.fit_loop.max_epochs
    if loop._should_accumulate():
        return False
    ends_epochs = loop._num_ready_batches_reached() and epochs is not None and 0 <= epochs <= trainer.current_epoch + 1
    return trainer.global_step == 0 or reached(trainer, trainer.global_step + 1) or ends_epochs


def _regular(step: int, every: int) -> bool:
    return step <= 1 or (every > 0 and step % every == 0)


def _forget(trainer: pl.Trainer) -> None:
    """Drop what the last step's row has said, but for a validation's."""
    for logger in trainer.loggers:
        if isinstance(logger, AppendingCSVLogger) and trainer.is_global_zero:
            logger.forget(trainer.global_step, training=True)
