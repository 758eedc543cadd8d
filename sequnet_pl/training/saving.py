"""`last.ckpt`, from which a run resumes exactly, and how checkpoints are written."""

import logging
import math
import os
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from pytorch_lightning.callbacks import Checkpoint
from pytorch_lightning.plugins.io import TorchCheckpointIO
from pytorch_lightning.utilities.exceptions import SIGTERMException

from sequnet_pl import atomic
from sequnet_pl.data.loader import CropLoader
from sequnet_pl.interrupts import handling
from sequnet_pl.limits import NonNegativeFloat, NonNegativeInt
from sequnet_pl.project import command
from sequnet_pl.training.checkpoints import LAST, current_callback_states, read, resumable_progress
from sequnet_pl.training.health import NonFinite, NonFiniteError, norm_of
from sequnet_pl.training.loggers import AppendingCSVLogger
from sequnet_pl.training.module import callbacks_of, ends_step
from sequnet_pl.training.process import is_rank_zero

log = logging.getLogger(__name__)


class AtomicCheckpointIO(TorchCheckpointIO):
    """Checkpoints that are written atomically and always read with `weights_only`."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a checkpoint. Raises UserError if that fails; the file that was there before is then unchanged."""
        with atomic.replacing(Path(path)) as temporary, temporary.open("wb") as file:
            try:
                torch.save(checkpoint, file)
            except RuntimeError as error:  # raised by torch in place of the OSError of a full disk
                raise error.__context__ if isinstance(error.__context__, OSError) else error from None

    def load_checkpoint(self, path: Any, map_location: Any = "cpu", weights_only: bool | None = True) -> dict[str, Any]:
        """Return the content of a checkpoint as this version of the package and Lightning resume it."""
        content = read(Path(path), map_location)
        return resumable_progress(current_callback_states(content, Path(path)))


class LastCheckpoint(Checkpoint):
    """Saves `last.ckpt` between two steps; on SIGINT, SIGTERM or SIGHUP saves after the step and ends the run.

    When SLURM announces the end of a job's time, the job is queued again. A second Ctrl-C ends the process at once.

    Args:
        dirpath: Folder of the checkpoint.
        every_n_steps: Steps between two saves; 0 is never.
        every_n_minutes: Minutes between two saves; 0 is never.
    """

    def __init__(
        self, dirpath: str | None = None, every_n_steps: NonNegativeInt = 1000, every_n_minutes: NonNegativeFloat = 10.0
    ) -> None:
        self.dirpath, self.every_n_steps, self.every_n_minutes = dirpath, every_n_steps, every_n_minutes
        self._path = Path(dirpath or ".") / LAST
        self.options: Sequence[str] = ()
        """Options of the command that resumes the run, beside the path of the checkpoint."""
        self._saved_at = time.monotonic()
        self._saved_step = -1
        self._signal = 0  # that this process has received
        self._signal_at = 0.0
        self._end_signal = 0  # that any process has received
        self._is_due = False
        self._settings: dict[str, Any] = {}
        self._saved_settings: dict[str, Any] = {}

    def state_dict(self) -> dict[str, Any]:
        return self._settings  # on which the order of additions, and so the last digits of the weights, depend

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._saved_settings = state_dict

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Install signal handlers, which the trainer replaces by the earlier ones when it ends."""
        self._saved_at, self._saved_step = time.monotonic(), trainer.global_step if trainer.ckpt_path else -1
        self._settings = {"processes": trainer.world_size}
        if pl_module.device.type == "cpu":
            self._settings["threads"] = torch.get_num_threads()
        if trainer.global_step and trainer.is_global_zero:
            self._resume(trainer)
        if trainer.global_step:
            _count_batches(trainer)
        if threading.current_thread() is threading.main_thread():
            signals = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
            signals += [signal.SIGUSR1] if SLURMEnvironment.detect() else []
            for each in signals:
                if signal.getsignal(each) is not signal.SIG_IGN:  # as under nohup
                    signal.signal(each, self._receive)

    def _resume(self, trainer: pl.Trainer) -> None:
        saved = self._saved_settings
        changed = [
            f"{name} {now} instead of {saved[name]}"
            for name, now in self._settings.items()
            if saved.get(name, now) != now
        ]
        if changed:
            log.warning("resuming from step %d with %s", trainer.global_step, ", ".join(changed))
        for logger in trainer.loggers:
            if isinstance(logger, AppendingCSVLogger):
                logger.forget(trainer.global_step)

    def _receive(self, signum: int, frame: FrameType | None) -> None:
        if self._signal == signum == signal.SIGINT and time.monotonic() - self._signal_at > 0.2:
            os._exit(128 + signum)  # not sooner, since `timeout` sends a signal twice
        if not self._signal:
            self._signal, self._signal_at = signum, time.monotonic()
            if signum == signal.SIGINT:
                log.warning("interrupted: the run is saved and ends after this step; a second Ctrl-C ends it at once")

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any, **__: Any) -> None:
        """End if a signal has come and the step before is saved, or diverges; its metrics are logged by now."""
        if self._end_signal and (self._saved_step == trainer.global_step or _diverges(trainer)):
            self._end(trainer)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save if that is due, except where a validation or the end of the epoch follows, which save."""
        if not ends_step(trainer):
            return
        step, minutes = trainer.global_step, (time.monotonic() - self._saved_at) / 60
        self._exchange(trainer, 0 < self.every_n_minutes <= minutes)
        self._is_due |= self._end_signal > 0 or (self.every_n_steps > 0 and step % self.every_n_steps == 0)
        follows = trainer.is_last_batch or _validates(trainer, batch_idx)
        if step == trainer.max_steps or (self._is_due and not follows):
            self._save(trainer)

    def _exchange(self, trainer: pl.Trainer, is_due: bool = False) -> None:
        """Let all processes know the signal that one has received, and whether a save is due for one."""
        state = torch.tensor([self._signal, int(is_due)])
        if trainer.world_size > 1:
            state = trainer.strategy.reduce(state.to(trainer.strategy.root_device), reduce_op="max")
        self._end_signal, due = map(int, state.tolist())
        self._is_due |= due > 0

    def on_validation_batch_end(self, trainer: pl.Trainer, *_: Any, **__: Any) -> None:
        """End if a signal has come: a resumed run repeats the steps since the last save, and the validation."""
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self._exchange(trainer)
            if self._end_signal:
                self._end(trainer)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save the scores of a validation, unless the epoch ends too; among accumulated batches, after their step."""
        if trainer.state.fn == "fit" and not trainer.sanity_checking and not trainer.is_last_batch:
            self._is_due = True
            if ends_step(trainer):  # a checkpoint has no gradients
                self._save(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save after other callbacks have read the epoch's scores."""
        if trainer.is_last_batch:
            self._save(trainer)

    def _save(self, trainer: pl.Trainer) -> None:
        if trainer.fast_dev_run or _diverges(trainer):  # type: ignore[attr-defined]
            return
        if not math.isfinite(norm_of(trainer.lightning_module.parameters())):
            raise NonFiniteError(
                f"weights not finite after step {trainer.global_step}; {self._path} has the last finite ones: "
                f"start a run from them with --init_from {self._path} and a lower --lr"
            )
        trainer.save_checkpoint(self._path)
        self._saved_at, self._saved_step, self._is_due = time.monotonic(), trainer.global_step, False

    def _end(self, trainer: pl.Trainer) -> NoReturn:
        """Exit with 128 + signal; 143 where the job is queued again."""
        signum = self._end_signal
        requeue = signum == signal.SIGUSR1
        if trainer.is_global_zero:
            resume = command("train", "--ckpt_path", self._path, *self.options)
            saved = f"{self._path} holds all until step {self._saved_step}; resume with: {resume}"
            log.warning(
                "the run was ended by a signal: %s", saved if self._saved_step >= 0 else "nothing was saved yet"
            )
            if requeue:
                _requeue_job()
        status = 128 + (signal.SIGTERM if requeue else signum)
        # a launcher ends all processes when one ends with another status than 0; the first one has a report to write
        raise SIGTERMException(status if trainer.is_global_zero else 0)


def _diverges(trainer: pl.Trainer) -> bool:
    """Return whether the loss is so high that the step is not saved."""
    return any(each.diverging for each in callbacks_of(trainer, NonFinite))


def _count_batches(trainer: pl.Trainer) -> None:
    """Set the batches that a resumed run has done to those of its loader, whose batch size may have changed."""
    loader, progress = trainer.train_dataloader, trainer.fit_loop.epoch_loop.batch_progress
    if isinstance(loader, CropLoader):
        done = trainer.num_training_batches if progress.is_last_batch else loader.shard.batches_done
        progress.current.increment_by(int(done) - progress.current.ready)


def handling_end_of_job() -> AbstractContextManager[None]:
    """Queue a SLURM job again whose time ends meanwhile; in training `LastCheckpoint` does, after a save."""

    def requeue(signum: int, frame: FrameType | None) -> None:
        if not is_rank_zero():
            raise SIGTERMException(0)
        _requeue_job()
        raise SIGTERMException(128 + signal.SIGTERM)

    return handling([signal.SIGUSR1] if SLURMEnvironment.detect() else [], requeue)


def _requeue_job() -> None:
    job = os.environ["SLURM_JOB_ID"]
    if array := os.environ.get("SLURM_ARRAY_JOB_ID"):
        job = f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    with suppress(OSError):
        done = subprocess.run(["scontrol", "requeue", job], capture_output=True, text=True, check=False)
        log.warning(
            "could not requeue job %s: %s" if done.returncode else "requeued job %s%s", job, done.stderr.strip()
        )


def _validates(trainer: pl.Trainer, batch_idx: int) -> bool:
    """Return whether a validation follows the batch."""
    epochs, every = trainer.check_val_every_n_epoch, trainer.val_check_batch
    if not trainer.enable_validation or every is None:  # None if validation is due by time
        return False
    if epochs is None:
        return (trainer.fit_loop.total_batch_idx + 1) % every == 0
    return (trainer.current_epoch + 1) % epochs == 0 and (batch_idx + 1) % every == 0
