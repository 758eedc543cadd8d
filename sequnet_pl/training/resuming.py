"""Going on from a checkpoint: what Lightning does not restore, and what is told where the run has changed."""

import logging
from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
import torch

from sequnet_pl.data.loader import CropLoader
from sequnet_pl.training.loggers import AppendingCSVLogger
from sequnet_pl.training.random_states import restore_random_states

log = logging.getLogger(__name__)

_DATA = ("batch_size", "output_size", "hop_size", "seed")


@dataclass(frozen=True)
class RunState:
    """What a checkpoint says beside what Lightning reads: empty in the oldest ones."""

    settings: dict[str, Any]
    random_states: list[dict[str, Any]]  # by rank
    validation_due: bool  # whether validation follows at once


def settings(trainer: pl.Trainer) -> dict[str, Any]:
    """What decides whether a run goes on exactly as before."""
    data = trainer.datamodule.hparams if trainer.datamodule else {}  # type: ignore[attr-defined]
    found: dict[str, Any] = {name: data[name] for name in _DATA if name in data}
    if isinstance(loader := trainer.train_dataloader, CropLoader):
        found["batch_size"] = loader.shard.batch_size  # may have been searched for
    if trainer.strategy.root_device.type == "cpu":
        found["threads"] = torch.get_num_threads()  # another number adds up in another order
    return found | {
        "processes": trainer.world_size,
        "precision": str(trainer.precision),
        "accumulate_grad_batches": trainer.accumulate_grad_batches,
    }


def resume(trainer: pl.Trainer, state: RunState) -> None:
    """Restore random states and the history, say what has changed, and do the validation that was to come."""
    changed = {
        name: f"{name} {now} instead of {state.settings[name]}"
        for name, now in settings(trainer).items()
        if state.settings.get(name, now) != now
    }
    if changed and trainer.is_global_zero:
        log.warning("going on from step %d with %s", trainer.global_step, ", ".join(changed.values()))
    _count_batches_anew(trainer)
    if trainer.global_rank < len(state.random_states):
        restore_random_states(state.random_states[trainer.global_rank])
    for logger in trainer.loggers:
        if isinstance(logger, AppendingCSVLogger) and trainer.is_global_zero:
            logger.forget(trainer.global_step, state.validation_due)
    if state.validation_due:
        _validate(trainer)


def _count_batches_anew(trainer: pl.Trainer) -> None:
    """Let Lightning's count of the epoch's batches be that of the loader, whose batches may have another size now."""
    if isinstance(loader := trainer.train_dataloader, CropLoader):
        counts = trainer.fit_loop.epoch_loop.batch_progress.current
        unfinished = counts.ready - counts.completed
        counts.ready = loader.shard.batches_done
        counts.started = counts.processed = counts.ready  # type: ignore[attr-defined]
        counts.completed = counts.ready - unfinished


def _validate(trainer: pl.Trainer) -> None:
    loop, connector = trainer.fit_loop.epoch_loop.val_loop, trainer._logger_connector
    first = connector._first_loop_iter
    trainer.validating = True
    loop.restarting = False
    loop.run()
    loop._has_run = False  # in this process's training, where Lightning now leaves it out as done before
    trainer.training = True
    connector._first_loop_iter = first
