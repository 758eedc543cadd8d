"""The local report of a run, kept up to date while it trains, and the warnings that it shows."""

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from sequnet_pl import atomic
from sequnet_pl.data.datamodule import AudioDataModule
from sequnet_pl.errors import UserError
from sequnet_pl.report.card import CARD, write_card
from sequnet_pl.report.run import write_report
from sequnet_pl.report.run_folder import WARNINGS, read_config, read_text
from sequnet_pl.training import dashboard
from sequnet_pl.training.facts import write_facts
from sequnet_pl.training.module import AudioModule
from sequnet_pl.training.sampling import SampleAudio
from sequnet_pl.training.saving import BestCheckpoint

log = logging.getLogger(__name__)


class WarningsFile(logging.Handler):
    """Collects what this package warns of in `warnings.txt` of a run folder, a line each, earlier ones kept."""

    def __init__(self, folder: Path) -> None:
        super().__init__(logging.WARNING)
        self._path = folder / WARNINGS

    def emit(self, record: logging.LogRecord) -> None:
        """Add a line; a disk that is full is told by others."""
        line = f"{datetime.now():%Y-%m-%d %H:%M:%S} {' '.join(record.getMessage().split())}\n"
        with suppress(UserError):
            atomic.write_text(self._path, read_text(self._path) + line)


class RunReport(Callback):
    """Keeps `report.html`, `curves.png` and the model card up to date: after sampling, validation and training.

    One process does, from the files of the run folder. What fails here never ends a training: it is one warning.

    Args:
        folder: The run folder.
        checkpoints: Where its checkpoints and the model card are.
        log_model: Whether W&B gets the best checkpoint, with the card, as an artifact when training ends.
        every_n_minutes: At least so often where a batch ends; after a validation no sooner than a tenth of that.
    """

    def __init__(self, folder: Path, checkpoints: Path, log_model: bool = False, every_n_minutes: float = 10.0) -> None:
        self.folder, self.checkpoints, self.log_model = folder, checkpoints, log_model
        self.every_n_minutes = every_n_minutes
        self._on = self._failed = False
        self._written = (time.monotonic(), -1)  # when, and what the newest sampling was
        self._warnings = WarningsFile(folder)

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Begin: collect warnings, write down what the run is, and tell the loggers."""
        self._on = stage == "fit" and trainer.is_global_zero and not trainer.fast_dev_run  # type: ignore[attr-defined]
        if self._on:
            logging.getLogger("sequnet_pl").addHandler(self._warnings)
            self._try(lambda: self._begin(trainer, pl_module))

    def _begin(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        data = trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(module, AudioModule) and isinstance(data, AudioDataModule)
        facts = write_facts(self.folder, module, data)
        dashboard.begin(trainer.loggers, read_config(self.folder) | {"run": facts})

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Collect no more warnings."""
        logging.getLogger("sequnet_pl").removeHandler(self._warnings)

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any, **__: Any) -> None:
        """Write where there are new clips, or the report has become old."""
        self._write(trainer, self.every_n_minutes)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write where there are new clips."""
        self._write(trainer, self.every_n_minutes)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write what validation has brought."""
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self._write(trainer, self.every_n_minutes / 10)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write all, and log the best checkpoint where that is asked for."""
        self._write(trainer, 0.0)
        if self._on and self.log_model:
            self._try(lambda: self._log_best(trainer))

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Say in the report why it ends here."""
        if self._on:
            why = exception if isinstance(exception, UserError) else type(exception).__name__
            text = f"ended at step {trainer.global_step}: {why}"
            self._warnings.emit(logging.makeLogRecord({"msg": text}))
            self._write(trainer, 0.0)

    def _write(self, trainer: pl.Trainer, minutes: float) -> None:
        """Write unless nothing new was sampled and the report is younger than so many minutes."""
        newest = max((each.last_step for each in trainer.callbacks if isinstance(each, SampleAudio)), default=-1)  # type: ignore[attr-defined]
        when, sampled = self._written
        if self._on and (newest != sampled or time.monotonic() - when >= 60 * minutes):
            self._try(lambda: (write_report(self.folder), write_card(self.folder, self.checkpoints)))
            self._written = time.monotonic(), newest

    def _log_best(self, trainer: pl.Trainer) -> None:
        best = [each.best_model_path for each in trainer.checkpoint_callbacks if isinstance(each, BestCheckpoint)]
        if best and best[0]:
            dashboard.log_checkpoint(trainer.loggers, [Path(best[0]), self.checkpoints / CARD])

    def _try(self, act: Callable[[], object]) -> None:
        try:
            act()
        except Exception as error:
            if not self._failed:
                log.warning("the report of this run could not be written: %s", error or type(error).__name__)
            self._failed = True
