"""`last.ckpt`, from which a run goes on exactly: every so many steps and minutes, and when it is asked to end."""

import logging
import os
import signal
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments import LightningEnvironment, SLURMEnvironment
from pytorch_lightning.callbacks import Checkpoint
from pytorch_lightning.plugins.io import TorchCheckpointIO
from pytorch_lightning.utilities.exceptions import SIGTERMException

from sequnet_pl import atomic
from sequnet_pl.errors import UsageError
from sequnet_pl.project import command
from sequnet_pl.training.checkpoints import LAST, fitting, hyper_parameters, network_name, read
from sequnet_pl.training.loggers import AppendingCSVLogger
from sequnet_pl.training.module import MODULES, AudioModule

log = logging.getLogger(__name__)


class AtomicCheckpointIO(TorchCheckpointIO):
    """Checkpoints that are written beside their path, synchronised and renamed, and always read with `weights_only`."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a checkpoint. Raises UserError if that fails; the file that was there before is then unchanged."""
        with atomic.replacing(Path(path)) as temporary, temporary.open("wb") as file:
            try:
                torch.save(checkpoint, file)
            except RuntimeError as error:  # raised by torch in place of the OSError of a full disk
                raise error.__context__ if isinstance(error.__context__, OSError) else error from None

    def load_checkpoint(self, path: Any, map_location: Any = "cpu", weights_only: bool | None = True) -> dict[str, Any]:
        """Return the content of a checkpoint, see `read`."""
        return read(Path(path), map_location)


def load_module(path: Path) -> tuple[AudioModule, dict[str, Any]]:
    """Return the module of a checkpoint with its weights, and its content. Raises UserError if they do not fit."""
    content = read(path)
    kind = MODULES[network_name(content, path)]
    with fitting(path):
        module = kind(**hyper_parameters(content))
        module.load_state_dict(content["state_dict"])
    return module, content


class LastCheckpoint(Checkpoint):
    """Saves `last.ckpt` between two steps, and ends a run there that SIGINT, SIGTERM or SIGHUP asks to end.

    Where SLURM announces the end of a job's time, it has the job queued again. A second Ctrl-C ends the process.

    Args:
        dirpath: Folder of the checkpoint.
        every_n_steps: Steps between two saves; 0 is never.
        every_n_minutes: Minutes between two saves; 0 is never.
    """

    def __init__(self, dirpath: str | None = None, every_n_steps: int = 1000, every_n_minutes: float = 10.0) -> None:
        if min(every_n_steps, every_n_minutes) < 0:
            raise UsageError("last: every_n_steps and every_n_minutes cannot be below 0")
        self.dirpath, self.every_n_steps, self.every_n_minutes = dirpath, every_n_steps, every_n_minutes
        self._saved_at = time.monotonic()
        self._asked: int | None = None  # the signal that asks to end
        self._ends = False

    @property
    def path(self) -> Path:
        """Of the checkpoint."""
        return Path(self.dirpath or ".") / LAST

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Listen to signals, until the trainer sets the earlier handlers again."""
        self._saved_at = time.monotonic()
        for logger in trainer.loggers if trainer.global_step and trainer.is_global_zero else ():
            if isinstance(logger, AppendingCSVLogger):
                logger.forget(trainer.global_step)
        if threading.current_thread() is threading.main_thread():
            signals = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
            signals += [signal.SIGUSR1] if SLURMEnvironment.detect() else []
            for each in signals:
                if signal.getsignal(each) is not signal.SIG_IGN:  # as under nohup
                    signal.signal(each, self._note)

    def _note(self, signum: int, frame: FrameType | None) -> None:
        if (
            self._asked == signum == signal.SIGINT and time.monotonic() - self._asked_at > 0.2
        ):  # `timeout` sends it twice
            os._exit(128 + signum)
        if self._asked is None:
            self._asked, self._asked_at = signum, time.monotonic()
            if signum == signal.SIGINT:
                log.warning("interrupted: the run ends after this step, saved; a second time ends it at once")

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any, **__: Any) -> None:
        """End where that was asked for; the batch before has been saved, and logged."""
        if self._ends:
            self._end(trainer)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save where that is due, unless a validation or the end of the epoch follows, which save."""
        if (batch_idx + 1) % trainer.accumulate_grad_batches and not trainer.is_last_batch:
            return
        self._ends = self._all_asked(trainer)
        step, minutes = trainer.global_step, (time.monotonic() - self._saved_at) / 60
        due = trainer.strategy.reduce_boolean_decision(0 < self.every_n_minutes <= minutes, all=False)
        due = due or self._ends or (self.every_n_steps > 0 and step % self.every_n_steps == 0)
        if step == trainer.max_steps or (due and not _validates(trainer, batch_idx) and not trainer.is_last_batch):
            self._save(trainer)

    def on_validation_batch_end(self, trainer: pl.Trainer, *_: Any, **__: Any) -> None:
        """End where that is asked for: what has been saved before comes again."""
        if trainer.state.fn == "fit" and not trainer.sanity_checking and self._all_asked(trainer):
            self._end(trainer)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save what validation has brought, unless the epoch ends too."""
        if trainer.state.fn == "fit" and not trainer.sanity_checking and not trainer.is_last_batch:
            self._save(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save when others have seen the epoch's scores, and before averaging replaces the weights at the end."""
        if trainer.is_last_batch and trainer.global_step != trainer.max_steps:
            self._save(trainer)

    def _save(self, trainer: pl.Trainer) -> None:
        if not trainer.fast_dev_run:  # type: ignore[attr-defined]
            trainer.save_checkpoint(self.path)
            self._saved_at = time.monotonic()

    def _all_asked(self, trainer: pl.Trainer) -> bool:
        return trainer.strategy.reduce_boolean_decision(self._asked is not None, all=False)

    def _end(self, trainer: pl.Trainer) -> NoReturn:
        signum = self._asked or signal.SIGTERM  # where another process was asked
        requeue = signum == signal.SIGUSR1
        if trainer.is_global_zero:
            again = command("train", "--ckpt_path", self.path)
            log.warning(
                "asked to end: %s holds all until step %d; go on with: %s", self.path, trainer.global_step, again
            )
            if requeue:
                _requeue_job()
        status = 128 + (signal.SIGTERM if requeue else signum)
        # one that Lightning launched ends without complaint: else Lightning kills the others
        environment = getattr(trainer.strategy, "cluster_environment", None)
        launched = isinstance(environment, LightningEnvironment) and trainer.local_rank > 0
        raise SIGTERMException(0 if launched else status)


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
    """Whether a validation follows the batch."""
    each = trainer.check_val_every_n_epoch
    batches = trainer.fit_loop.total_batch_idx if each is None else batch_idx
    every = trainer.val_check_batch  # None where it is a time
    return trainer.enable_validation and every is not None and (batches + 1) % every == 0
