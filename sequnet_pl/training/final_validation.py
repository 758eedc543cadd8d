"""The validation at the end of a run that `max_steps` ends between two checks."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytorch_lightning as pl

from sequnet_pl.data.datamodule import AudioDataModule
from sequnet_pl.training.measures import Measures
from sequnet_pl.training.random_states import random_states, restore_random_states


def reached(trainer: pl.Trainer, step: int) -> bool:
    """Whether `max_steps` ends a run at this step."""
    return 0 <= trainer.max_steps <= step


def can_validate(trainer: pl.Trainer) -> bool:
    """Whether there is anything to validate on."""
    data = trainer.datamodule  # type: ignore[attr-defined]
    return trainer.enable_validation and not (isinstance(data, AudioDataModule) and not len(data.splits["val"].lengths))


class HeldOpen:
    """Has Lightning begin a run whose last step is done, which it would else leave alone, so that it can validate."""

    def __init__(self) -> None:
        self._limits: tuple[int, int | None] | None = None

    def __bool__(self) -> bool:
        return self._limits is not None

    def hold(self, trainer: pl.Trainer, step: int) -> None:
        """Before it begins: no limit is reached at this step."""
        loop = trainer.fit_loop
        self._limits = loop.epoch_loop.max_steps, loop.max_epochs
        loop.epoch_loop.max_steps, loop.max_epochs = step + 1, -1

    def release(self, trainer: pl.Trainer) -> None:
        """The limits are what they were, where they are held."""
        if self._limits is not None:
            trainer.fit_loop.epoch_loop.max_steps, trainer.fit_loop.max_epochs = self._limits
            self._limits = None


def validate(trainer: pl.Trainer) -> None:
    """Validate outside of Lightning's own checks."""
    loop, connector = trainer.fit_loop.epoch_loop.val_loop, trainer._logger_connector
    first = connector._first_loop_iter
    trainer.validating = True
    loop.restarting = False
    loop.run()
    loop._has_run = False  # in this process's training, where Lightning now leaves it out as done before
    trainer.training = True
    connector._first_loop_iter = first


def validate_at_end(trainer: pl.Trainer) -> None:
    """Validate on no more samples than training has heard; the row is the last step's, and no random state moves."""
    states, loop = random_states(), trainer.fit_loop.epoch_loop
    stepped, loop._batches_that_stepped = loop._batches_that_stepped, trainer.global_step - 1
    with _no_more_than_heard(trainer):
        validate(trainer)
    loop._batches_that_stepped = stepped
    restore_random_states(states)


@contextmanager
def _no_more_than_heard(trainer: pl.Trainer) -> Iterator[None]:
    data, loop = trainer.datamodule, trainer.fit_loop.epoch_loop.val_loop  # type: ignore[attr-defined]
    measures = next((each for each in trainer.callbacks if isinstance(each, Measures)), None)  # type: ignore[attr-defined]
    heard = trainer.strategy.broadcast(measures.heard if measures else None)
    if heard is None or not isinstance(data, AudioDataModule) or data.samples_to_validate <= heard:
        yield
        return
    trainer.print(
        f"validating on no more samples than training has heard: {heard:,} of {data.samples_to_validate:,} "
        f"(step {trainer.global_step:,})"
    )
    data.most_validated, loop._combined_loader = heard, None  # a loader is asked for anew
    yield
    data.most_validated, loop._combined_loader = None, None
