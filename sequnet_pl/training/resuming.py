"""Going on from a checkpoint: what Lightning does not restore, and what is told where the run has changed."""

import logging
from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.loops.loop import _Loop

from sequnet_pl.data.loader import CropLoader
from sequnet_pl.training.final_validation import reached, validate
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
    final_validation: str | None = None  # of a run that ended here: "due" or "done"


def settings(trainer: pl.Trainer) -> dict[str, Any]:
    """What decides whether a run goes on exactly as before."""
    data = trainer.datamodule.hparams if trainer.datamodule else {}  # type: ignore[attr-defined]
    found: dict[str, Any] = {name: data[name] for name in _DATA if name in data}
    if isinstance(loader := trainer.train_dataloader, CropLoader):
        found["batch_size"] = loader.shard.batch_size  # may have been searched for
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
    _begin_next_epoch(trainer)
    _count_batches_anew(trainer)
    if trainer.global_rank < len(state.random_states):
        restore_random_states(state.random_states[trainer.global_rank])
    for logger in trainer.loggers:
        if isinstance(logger, AppendingCSVLogger) and trainer.is_global_zero:
            logger.forget(trainer.global_step, validation=state.validation_due or state.final_validation is not None)
    if state.validation_due:
        validate(trainer)


def _begin_next_epoch(trainer: pl.Trainer) -> None:
    """Leave a whole epoch behind: where only `max_steps` is given, Lightning would go on in it, past its last batch."""
    loop = trainer.fit_loop
    progress = loop.epoch_progress.current
    ended = reached(trainer, trainer.global_step)
    if loop._iteration_based_training() and not ended and 0 < progress.ready == progress.processed:  # type: ignore[attr-defined]
        _Loop.restarting.fset(loop, False)  # type: ignore[attr-defined]  # its own setter says True whatever it is given
        loop.reset()
        progress.completed = progress.processed  # type: ignore[attr-defined]


def _count_batches_anew(trainer: pl.Trainer) -> None:
    """Let Lightning's count of the epoch's batches be that of the loader, whose batches may have another size now."""
    if isinstance(loader := trainer.train_dataloader, CropLoader):
        counts = trainer.fit_loop.epoch_loop.batch_progress.current
        unfinished = counts.ready - counts.completed
        counts.ready = loader.shard.batches_done
        counts.started = counts.processed = counts.ready  # type: ignore[attr-defined]
        counts.completed = counts.ready - unfinished
