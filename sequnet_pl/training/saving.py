"""Checkpoints while training: `last.ckpt`, from which a run goes on as if it had never stopped, and the best ones."""

import logging
import shlex
import time
from pathlib import Path
from typing import Any, NoReturn

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint

from sequnet_pl.errors import UsageError
from sequnet_pl.training import signals
from sequnet_pl.training.checkpoints import LAST, score_of
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
        self._alone = False  # whether this process saves without the others

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Go on where the checkpoint stopped, and listen to signals."""
        self._signals.listen(trainer)
        if trainer.is_global_zero:
            for unfinished in Path(self.dirpath or ".").glob(".*.ckpt"):  # of a process that was killed
                unfinished.unlink(missing_ok=True)
        self._saved_at = time.monotonic()
        if self._resumed is not None:
            resume(trainer, self._resumed)
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
        ends = bool(self._stop) or trainer.should_stop or trainer.global_step == trainer.max_steps
        if ends or ((timely or stepped) and not self._saves_at_once(trainer)):
            log_ahead(trainer)
            self._save(trainer)

    @staticmethod
    def _saves_at_once(trainer: pl.Trainer) -> bool:
        """Whether validation or the end of the epoch follows: Lightning would take either as done if killed between."""
        loop, fetcher = trainer.fit_loop.epoch_loop, trainer.fit_loop._data_fetcher
        return loop._num_ready_batches_reached() or (fetcher is not None and loop._should_check_val_fx(fetcher))

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save that validation is due, so that nothing is lost if the run ends in it."""
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
        if not trainer.fit_loop.epoch_loop._num_ready_batches_reached():
            self._last_global_step_saved = 0
            self._save(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save when others have seen the epoch's scores, and before averaging replaces the weights at the end."""
        if trainer.fit_loop.epoch_loop._num_ready_batches_reached():
            self._last_global_step_saved = 0
            self._save(trainer)

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
        }

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Remember what to restore when training starts."""
        run = checkpoint.get("run", {})  # checkpoints had none at first
        self._resumed = RunState(
            run.get("settings", {}), run.get("random_states", []), run.get("validation_due", False)
        )

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
                "asked to end: %s holds all until step %d; go on with: python train.py --ckpt_path %s",
                self._path,
                trainer.global_step,
                shlex.quote(str(self._path)),
            )
            if self._requeue:
                signals.requeue_job()
        signals.end(trainer, self._stop)


class BestCheckpoint(ModelCheckpoint):
    """Keeps the best checkpoints, and no more than it is to keep, whatever a run that was killed has left behind."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take the files into account that the checkpoint from which the run goes on did not know of."""
        super().on_train_start(trainer, pl_module)
        folder = Path(self.dirpath or ".")
        found = {str(path): score_of(path) for path in folder.glob("best-*.ckpt")} if trainer.is_global_zero else {}
        scores = {path: score for path, score in trainer.strategy.broadcast(found).items() if score is not None}
        by_score = sorted(scores, key=lambda path: scores[path], reverse=self.mode == "max")
        if self.save_top_k > 0:
            for path in by_score[self.save_top_k :]:
                trainer.strategy.remove_checkpoint(path)
            by_score = by_score[: self.save_top_k]
        self.best_k_models = {path: torch.tensor(scores[path]) for path in by_score}
        if by_score:
            self.best_model_path, self.kth_best_model_path = by_score[0], by_score[-1]
            self.best_model_score, self.kth_value = (self.best_k_models[path] for path in (by_score[0], by_score[-1]))

    def _save_topk_checkpoint(self, trainer: pl.Trainer, monitor_candidates: dict[str, torch.Tensor]) -> None:
        score = monitor_candidates.get(self.monitor or "")
        if score is None or torch.isfinite(score):
            super()._save_topk_checkpoint(trainer, monitor_candidates)
