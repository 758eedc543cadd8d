"""The local report of a run, kept up to date while it trains, and the warnings that it shows."""

import json
import logging
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback, ModelCheckpoint

from sequnet_pl import atomic
from sequnet_pl.data.datamodule import AudioDataModule
from sequnet_pl.errors import UserError
from sequnet_pl.models import registry
from sequnet_pl.printing import printable
from sequnet_pl.project import this_command
from sequnet_pl.report.card import CARD, write_card
from sequnet_pl.report.run import write_report
from sequnet_pl.report.run_folder import SUMMARY, WARNINGS, mark_training, read_config, read_summary, read_text
from sequnet_pl.training.loggers import log_checkpoint, log_settings
from sequnet_pl.training.module import AudioModule, callbacks_of, data_of
from sequnet_pl.training.sampling import SampleAudio

log = logging.getLogger(__name__)

_PROJECT = Path(__file__).parents[2]
_MINUTES = 10
"""Between two reports; after a validation a tenth of that."""


def write_summary(
    folder: Path, module: AudioModule, data: AudioDataModule, begun_from: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Write and return the facts of a run; a resumed run adds its command. Raises UserError where that fails."""
    rate, network, before = data.hparams["sample_rate"], module.network, read_summary(folder)
    facts: dict[str, Any] = {
        "network": registry.name_of(network),
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "receptive_field_ms": network.receptive_field and round(1000 * network.receptive_field / rate, 1),
        "sample_rate": rate,
        "begun_from": begun_from or before.get("begun_from"),
        "commit": git_commit(),
        "commands": [*before.get("commands", []), this_command()],
        "data": {
            "fingerprint": data.fingerprint,
            "store": data.store.name,
            "splits": {
                name: {"recordings": len(split.lengths), "hours": round(float(split.lengths.sum()) / rate / 3600, 3)}
                for name, split in data.splits.items()
            },
        },
    }
    atomic.write_text(folder / SUMMARY, json.dumps(facts, indent=1))
    return facts


def git_commit(project: Path = _PROJECT) -> str | None:
    """The commit that is checked out, with "+" where files differ from it; None without git or outside a checkout."""
    if not (project / ".git").exists():
        return None  # installed, perhaps below a repository of something else
    try:
        commit, changes = (
            subprocess.run(["git", *words], cwd=project, capture_output=True, text=True, check=True, timeout=10).stdout
            for words in (("rev-parse", "--short=12", "HEAD"), ("status", "--porcelain", "--untracked-files=no"))
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return commit.strip() + "+" * bool(changes)


def note(folder: Path, text: str) -> None:
    """Add a line to the warnings of a run. Raises UserError where that fails."""
    line = f"{datetime.now():%Y-%m-%d %H:%M:%S} {printable(' '.join(text.split()))}\n"
    atomic.write_text(folder / WARNINGS, read_text(folder / WARNINGS) + line)


class _Notes(logging.Handler):
    def __init__(self, folder: Path) -> None:
        super().__init__(logging.WARNING)
        self._folder = folder

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(UserError):  # of a full disk, which other writers report
            note(self._folder, record.getMessage())


@contextmanager
def warnings_noted(folder: Path) -> Iterator[None]:
    """Collect what this package warns of meanwhile in `warnings.txt` of a run folder; earlier lines are kept."""
    package, handler = logging.getLogger("sequnet_pl"), _Notes(folder)
    package.addHandler(handler)
    try:
        yield
    finally:
        package.removeHandler(handler)


class RunReport(Callback):
    """Keeps `report.html` and the model card up to date: after sampling, validation and training.

    One process does, from the files of the run folder. What fails here never ends a training: it is one warning.

    Args:
        folder: The run folder.
        checkpoints: Where its checkpoints and the model card are.
        log_model: Whether W&B gets the best checkpoint, with the card, as an artifact when training ends.
    """

    def __init__(self, folder: Path, checkpoints: Path, log_model: bool = False) -> None:
        self.folder, self.checkpoints, self.log_model = folder, checkpoints, log_model
        self.begun_from: dict[str, Any] | None = None
        """Path, step and hash of the weights that the run starts from, if not from new ones."""
        self._on = self._failed = False
        self._written = (time.monotonic(), -1)  # when, and what the newest sampling was

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        self._on = stage == "fit" and trainer.is_global_zero and not trainer.fast_dev_run  # type: ignore[attr-defined]
        if self._on:
            self._try(lambda: self._begin(trainer, pl_module))

    def _begin(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, AudioModule)
        facts = write_summary(self.folder, module, data_of(trainer), self.begun_from)
        mark_training(self.folder, True)
        log_settings(trainer.loggers, read_config(self.folder) | {"run": facts})

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any, **__: Any) -> None:
        self._write(trainer, _MINUTES)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._write(trainer, _MINUTES)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self._write(trainer, _MINUTES / 10)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._end(trainer)
        best = [each.best_model_path for each in trainer.checkpoint_callbacks if isinstance(each, ModelCheckpoint)]
        if self._on and self.log_model and best and best[0]:
            files = [Path(best[0]), self.checkpoints / CARD]
            self._try(lambda: log_checkpoint(trainer.loggers, files))

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        if self._on and isinstance(exception, Exception):  # not Ctrl-C and SIGTERM, which LastCheckpoint reports
            text = f"ended at step {trainer.global_step}: {type(exception).__name__} {exception}"
            self._try(lambda: note(self.folder, text))
        self._end(trainer)

    def _end(self, trainer: pl.Trainer) -> None:
        if self._on:
            self._try(lambda: mark_training(self.folder, False))
        self._write(trainer, 0.0)

    def _write(self, trainer: pl.Trainer, minutes: float) -> None:
        """Write unless nothing new was sampled and the report is younger than some minutes."""
        newest = max((each.last_step for each in callbacks_of(trainer, SampleAudio)), default=-1)
        when, sampled = self._written
        if self._on and (newest != sampled or time.monotonic() - when >= 60 * minutes):
            self.write()
            self._written = time.monotonic(), newest

    def write(self) -> None:
        """Write the report and the model card."""
        self._try(lambda: (write_report(self.folder), write_card(self.folder, self.checkpoints)))

    def _try(self, act: Callable[[], object]) -> None:
        try:
            act()
        except Exception as error:
            if not self._failed:
                log.warning("the report of this run could not be written: %s", error or type(error).__name__)
            self._failed = True
