"""`last.ckpt`, kept while training: a run goes on from it as if it had never stopped."""

import logging
import time
from pathlib import Path
from typing import Any, NoReturn

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint

from sequnet_pl.errors import UsageError
from sequnet_pl.project import command
from sequnet_pl.training import signals
from sequnet_pl.training.best import BestCheckpoint
from sequnet_pl.training.checkpoints import LAST, read
from sequnet_pl.training.final_validation import HeldOpen, can_validate, reached, validate_at_end
from sequnet_pl.training.health import SickRunError, finite
from sequnet_pl.training.loggers import log_ahead
from sequnet_pl.training.random_states import gathered, random_states
from sequnet_pl.training.resuming import RunState, resume, settings

log = logging.getLogger(__name__)


class LastCheckpoint(ModelCheckpoint):
    """Keeps `last.ckpt`: every so many steps and minutes, around validation, at the end, and when a run is interrupted.

    On SIGTERM, SIGINT (Ctrl-C) or SIGHUP it saves after the batch under way and ends the run with exit status 143, 130
    or 129; where SLURM announces the end of a job's time, it has the job queued again.

    Args:
        dirpath: Folder of the checkpoint.
        every_n_steps: Steps between two saves; 0 is never.
        every_n_minutes: Minutes between two saves; 0 is never.
    """

    def __init__(self, dirpath: str | None = None, every_n_steps: int = 1000, every_n_minutes: float = 10.0) -> None:
        if min(every_n_steps, every_n_minutes) < 0:
            raise UsageError("last: every_n_steps and every_n_minutes cannot be below 0")
        super().__init__(
            dirpath,
            every_n_train_steps=every_n_steps,
            save_top_k=0,
            save_last=True,
            enable_version_counter=False,  # else a resumed run would write last-v1.ckpt
        )
        self.every_n_steps, self.every_n_minutes = every_n_steps, every_n_minutes
        self._signals = signals.Signals()
        self._saved_at = time.monotonic()
        self._resumed: RunState | None = None
        self._stop = 0  # the exit status to end with
        self._requeue = self._validation_due = False
        self._final: str | None = None  # the validation at the run's end: "due" where that is now, or "done"
        self._held = HeldOpen()
        self._alone = False  # whether this process saves without the others

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Go on where the checkpoint stopped, and listen to signals."""
        self._signals.listen(trainer)
        if trainer.is_global_zero:
            for unfinished in Path(self.dirpath or ".").glob(".*.ckpt"):  # of a process that was killed
                unfinished.unlink(missing_ok=True)
        self._saved_at, self._final = time.monotonic(), None
        if self._resumed is not None:
            final = bool(self._held and self._resumed.final_validation)
            if final:
                self._held.release(trainer)
            resume(trainer, self._resumed)
            if final:
                self._validate_at_end(trainer)
            elif not trainer.fit_loop.epoch_loop._num_ready_batches_reached():
                self._held.release(trainer)
            self._resumed = None

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """End the run if that is asked for; the batch before has been saved."""
        if self._stop:
            self._end(trainer)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save where it is due, and when training stops here: afterwards Lightning counts the epoch as a whole one."""
        if trainer.fit_loop.epoch_loop._should_accumulate():
            return
        timely = 0 < self.every_n_minutes * 60 <= time.monotonic() - self._saved_at
        timely = self._heed(trainer, timely and trainer.is_global_zero)
        stepped = self.every_n_steps > 0 and trainer.global_step % self.every_n_steps == 0
        loop, fetcher = trainer.fit_loop.epoch_loop, trainer.fit_loop._data_fetcher
        validates = can_validate(trainer) and fetcher is not None and loop._should_check_val_fx(fetcher)
        reaches_end = reached(trainer, trainer.global_step)
        if reaches_end and not validates and can_validate(trainer):
            self._final = "due"
        # where validation or the end of the epoch follows, these save: killed between, Lightning takes either as done
        ends = bool(self._stop) or trainer.should_stop or reaches_end
        if not validates and (ends or ((timely or stepped) and not loop._num_ready_batches_reached())):
            log_ahead(trainer)
            self._save(trainer)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save that validation is due, so that nothing is lost if the run ends in it."""
        if not self._final:
            self._validation_due = True
            self._last_global_step_saved = 0
            self._save(trainer)
            self._validation_due = False
        if self._stop:
            self._end(trainer)

    def on_validation_batch_end(self, trainer: pl.Trainer, *_: Any, **__: Any) -> None:
        """End the run if that is asked for."""
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self._heed(trainer)
            if self._stop:
                self._end(trainer)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save what validation has brought, unless the epoch ends too."""
        if not self._final and not trainer.fit_loop.epoch_loop._num_ready_batches_reached():
            self._last_global_step_saved = 0
            self._save(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save when others have seen the epoch's scores, and before averaging replaces the weights at the end."""
        self._held.release(trainer)
        if trainer.fit_loop.epoch_loop._num_ready_batches_reached():
            self._last_global_step_saved = 0
            self._save(trainer)
        if self._final:
            self._validate_at_end(trainer)

    def _validate_at_end(self, trainer: pl.Trainer) -> None:
        """Validate after the run's last step; what was saved before stays, but says that it is done."""
        self._final, self._last_global_step_saved = "due", trainer.global_step
        validate_at_end(trainer)
        content = read(self._path) if trainer.is_global_zero else {}
        content["run"] = content.get("run", {}) | {"final_validation": "done"}
        for each in trainer.checkpoint_callbacks:
            if isinstance(each, BestCheckpoint):
                each.save_at_end(trainer, content)
        if trainer.is_global_zero:
            trainer.strategy.checkpoint_io.save_checkpoint(content, str(self._path))

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save what the last steps have learnt."""
        self._save(trainer)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Save where an interrupted or failed run stands; a sick one keeps the checkpoint that it has."""
        if (
            not trainer.global_step
            or isinstance(exception, SickRunError)
            or self._should_skip_saving_checkpoint(trainer)
        ):
            return
        progress = trainer.fit_loop.epoch_loop.batch_progress.current
        # a batch that was under way is to come again
        if progress.ready > progress.processed:  # type: ignore[attr-defined]
            trainer.train_dataloader.shard.batches_done -= 1  # type: ignore[union-attr]
        if trainer.is_global_zero and finite(pl_module.parameters()):
            self._alone = True  # other processes may be gone, or not have failed
            checkpoint = trainer._checkpoint_connector.dump_checkpoint(weights_only=False)
            trainer.strategy.checkpoint_io.save_checkpoint(checkpoint, str(self._path))

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add the random states of all processes, and what a run that goes on is to compare its own settings with."""
        states = random_states()
        checkpoint["run"] = {
            "settings": settings(trainer),
            "random_states": [states] if self._alone else gathered(states),
            "validation_due": self._validation_due,
            "final_validation": self._final,
        }

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Remember what to restore when training starts."""
        run = checkpoint.get("run", {})  # checkpoints had none at first
        self._resumed = RunState(
            run.get("settings", {}),
            run.get("random_states", []),
            run.get("validation_due", False),
            run.get("final_validation"),
        )
        due = self._resumed.validation_due or self._resumed.final_validation == "due"
        if due and reached(trainer, checkpoint["global_step"]) and can_validate(trainer):
            self._held.hold(trainer, checkpoint["global_step"])

    @property
    def _path(self) -> Path:
        return Path(self.dirpath or ".") / LAST

    def _save(self, trainer: pl.Trainer) -> None:
        if self._should_skip_saving_checkpoint(trainer):
            return
        if not finite(trainer.lightning_module.parameters()):
            raise SickRunError(
                f"the weights are not finite after step {trainer.global_step}; {self._path} is as it was"
            )
        self._save_last_checkpoint(trainer, self._monitor_candidates(trainer))
        self._saved_at = time.monotonic()

    def _heed(self, trainer: pl.Trainer, flag: bool = False) -> bool:
        """Heed signals that any process has had, and give whether `flag` is true in any."""
        votes = [self._signals.stop, int(self._signals.requeue), int(flag)]
        if trainer.world_size > 1:
            tensor = torch.tensor(votes, dtype=torch.int32, device=trainer.strategy.root_device)
            votes = trainer.strategy.reduce(tensor, reduce_op="max").tolist()  # type: ignore[union-attr]
        self._stop, self._requeue, agreed = votes[0], bool(votes[1]), bool(votes[2])
        return agreed

    def _end(self, trainer: pl.Trainer) -> NoReturn:
        if trainer.is_global_zero:
            log.warning(
                "asked to end: %s holds all until step %d; go on with: %s",
                self._path,
                trainer.global_step,
                command("train", "--ckpt_path", self._path),
            )
            if self._requeue:
                signals.requeue_job()
        signals.end(trainer, self._stop)
