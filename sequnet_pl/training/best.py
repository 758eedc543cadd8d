"""The best checkpoints, kept while training."""

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint

from sequnet_pl.training.checkpoints import is_of_an_end, score_of


class BestCheckpoint(ModelCheckpoint):
    """Keeps the best checkpoints, and no more than it is to keep, whatever a run that was killed has left behind.

    One that the validation at a run's end adds takes no other's place, and goes where the run goes on.
    """

    _scored_at: int | None = None  # the step of the newest validation
    _of_end: dict[str, Any] | None = None  # what a checkpoint at the run's end holds

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take the files into account that the checkpoint from which the run goes on did not know of."""
        super().on_train_start(trainer, pl_module)
        folder = Path(self.dirpath or ".")
        found: dict[str, float | None] = {}
        for path in folder.glob("best-*.ckpt") if trainer.is_global_zero else ():
            if not is_of_an_end(path):
                found[str(path)] = score_of(path)
            elif str(path) != str(trainer.ckpt_path):  # which somebody may want to go on from again
                path.unlink()
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

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """See ModelCheckpoint."""
        self._scored_at = trainer.global_step
        super().on_validation_end(trainer, pl_module)

    def save_at_end(self, trainer: pl.Trainer, content: dict[str, Any]) -> None:
        """Save a run's last checkpoint, of this content, under its score if that is one of the best."""
        self._of_end = content
        self._save_topk_checkpoint(trainer, self._monitor_candidates(trainer))
        self._of_end = None

    def _save_topk_checkpoint(self, trainer: pl.Trainer, monitor_candidates: dict[str, torch.Tensor]) -> None:
        score = monitor_candidates.get(self.monitor or "")
        if self._scored_at == trainer.global_step and (score is None or torch.isfinite(score)):
            super()._save_topk_checkpoint(trainer, monitor_candidates)

    def _save_checkpoint(self, trainer: pl.Trainer, filepath: str) -> None:
        if self._of_end is None:
            super()._save_checkpoint(trainer, filepath)
        elif trainer.is_global_zero:
            states = self._of_end["callbacks"] | {self.state_key: self.state_dict()}
            trainer.strategy.checkpoint_io.save_checkpoint(self._of_end | {"callbacks": states}, filepath)

    def _should_remove_checkpoint(self, trainer: pl.Trainer, previous: str, current: str) -> bool:
        return self._of_end is None and super()._should_remove_checkpoint(trainer, previous, current)
