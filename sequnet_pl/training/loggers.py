"""Where metrics go: a CSV file that is never lost, and W&B that never asks."""

import csv
import logging
import os
import sys
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from lightning_fabric.loggers.logger import rank_zero_experiment
from lightning_fabric.utilities.apply_func import convert_tensors_to_scalars
from lightning_fabric.utilities.rank_zero import rank_zero_only
from pytorch_lightning.loggers import CSVLogger, Logger, WandbLogger
from pytorch_lightning.loggers.csv_logs import ExperimentWriter

from sequnet_pl import atomic
from sequnet_pl.errors import UsageError
from sequnet_pl.printing import printable

log = logging.getLogger(__name__)

_MODES = ("online", "offline", "shared", "disabled")


class _AppendingWriter(ExperimentWriter):
    """Goes on with the file that is there, where Lightning's own deletes it."""

    def __init__(self, log_dir: str) -> None:
        super().__init__(log_dir)
        self._before: tuple[dict[str, float], int | None] = {}, None
        path = Path(self.metrics_file_path)
        if path.is_file():
            with path.open(newline="") as file:
                self.metrics_keys = next(csv.reader(file), [])

    def log_metrics(self, metrics_dict: dict[str, float], step: int | None = None) -> None:
        """Add a row, unless it is the one before: see `log_ahead`."""
        if (metrics_dict, step) != self._before:
            super().log_metrics(metrics_dict, step)
        self._before = metrics_dict, step

    def _check_log_dir_exists(self) -> None:
        """Lightning deletes the old file here."""

    def log_hparams(self, params: dict[str, Any]) -> None:
        """config.yaml says them already."""

    def _rewrite_with_new_header(self, fieldnames: list[str]) -> None:
        """A new metric has come: write the file anew, beside it first."""
        path = Path(self.metrics_file_path)
        with path.open(newline="") as old, atomic.replacing(path) as temporary, temporary.open("w", newline="") as new:
            writer = csv.DictWriter(new, fieldnames=fieldnames)
            writer.writeheader()
            writer.writerows(csv.DictReader(old))


class AppendingCSVLogger(CSVLogger):
    """Lightning's CSVLogger, except that a resumed run keeps its history; each logged step is written at once."""

    def __init__(self, save_dir: str, name: str, version: str) -> None:
        super().__init__(save_dir, name, version, flush_logs_every_n_steps=1)

    def forget(self, step: int, *, validation: bool = False, training: bool = False) -> None:
        """Drop what was logged from `step` on, and lines that were cut short: a run that goes on logs it again.

        With `validation` also that of the validation after the step before, with `training` all else of that step.
        """
        path = Path(self.experiment.metrics_file_path)
        if not path.is_file():
            return
        with path.open(newline="") as old, atomic.replacing(path) as temporary, temporary.open("w", newline="") as new:
            rows = csv.reader(old)
            header = next(rows, [])
            place = header.index("step")
            scores = [index for index, name in enumerate(header) if name.startswith("val/")]

            def stays(row: list[str]) -> bool:
                again = validation if any(row[index] for index in scores) else training
                return int(row[place]) < step - again

            csv.writer(new).writerows([header, *(row for row in rows if len(row) == len(header) and stays(row))])

    @property
    @rank_zero_experiment
    def experiment(self) -> ExperimentWriter:
        """The writer of this run's metrics.csv."""
        if self._experiment is None:
            self._experiment = _AppendingWriter(self.log_dir)
        return self._experiment  # type: ignore[return-value]


def log_ahead(trainer: pl.Trainer) -> None:
    """Write the row of a batch that Lightning logs only after the callbacks, so that no checkpoint is ahead of it."""
    connector = trainer._logger_connector
    if connector.should_update_logs:
        metrics = convert_tensors_to_scalars(connector.metrics["log"])
        step = trainer.fit_loop.epoch_loop._batches_that_stepped
        for logger in trainer.loggers:
            if isinstance(logger, AppendingCSVLogger) and metrics:
                logger.log_metrics({**metrics, "epoch": trainer.current_epoch}, step)
                logger.save()


class _AnyArgvWandbLogger(WandbLogger):
    """W&B, which notes the command line and refuses one with names that are not UTF-8."""

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """See WandbLogger."""
        argv = sys.argv
        sys.argv = [printable(argument) for argument in argv]
        try:
            return super().experiment
        finally:
            sys.argv = argv


def can_log_to(folder: Path) -> bool:
    """Whether W&B and TensorBoard can write below a folder: they refuse names that are not UTF-8, which is said."""
    try:
        str(folder.absolute()).encode()
    except UnicodeEncodeError:
        text = "W&B and TensorBoard cannot write below %s, whose name is not UTF-8; metrics.csv holds it all"
        rank_zero_only(log.warning)(text, folder)
        return False
    return True


def wandb_logger(folder: Path, name: str, group: str) -> WandbLogger | None:
    """W&B for a run folder: online where a key is set, else offline; a resumed run goes on in the same W&B run.

    The WANDB_ variables mean what W&B's documents say, and win over what is chosen here; None where they disable it.
    All that W&B keeps for a later upload lies in the run folder where they name none. UsageError for a wrong mode,
    W&B's own error for what else it finds wrong in them, before anything is written.
    """
    given = os.environ
    for variable in [name for name, value in given.items() if name.startswith("WANDB_") and not value]:
        del given[variable]  # which W&B refuses where it is not a text: set to nothing is not set
    if (mode := _mode()) == "disabled":
        return None
    import wandb  # slow to import, and not everybody logs with it

    wandb.Settings().update_from_env_vars(dict(given))
    save_dir = given.get("WANDB_DIR") or folder
    given.setdefault("WANDB_DATA_DIR", str(Path(save_dir, "wandb").absolute()))  # of tables and artifacts
    logger = _AnyArgvWandbLogger(
        name=given.get("WANDB_NAME") or name,
        group=given.get("WANDB_RUN_GROUP") or group,
        save_dir=save_dir,
        project=given.get("WANDB_PROJECT") or "sequnet_pl",
        id=_run_id(folder),
        resume=given.get("WANDB_RESUME") or "allow",
        mode=mode,
    )
    logger._wandb_init.pop("anonymous", None)  # which W&B warns of, whatever its value
    return logger


def end_wandb(loggers: Iterable[Logger], status: int = 0) -> None:
    """End the W&B runs; the exit of the process would, but with colours in pipes and after all else was said."""
    for logger in loggers:
        if isinstance(logger, WandbLogger) and logger._experiment is not None:
            logger._experiment.finish(exit_code=status)


def _mode() -> str:
    """How W&B runs: offline where it could not be reached without asking anybody for a key."""
    if os.environ.get("WANDB_DISABLED", "").lower() in ("true", "1", "yes", "on"):
        return "disabled"
    given = os.environ.get("WANDB_MODE", "online")
    mode = {"dryrun": "offline", "run": "online"}.get(given, given)  # W&B's names of before
    if mode not in _MODES:
        raise UsageError(f"WANDB_MODE is {given!r}, but must be one of {', '.join(_MODES)}")
    if mode in ("disabled", "offline"):
        return mode
    import wandb

    return mode if wandb.login(prompt=False) else "offline"


def _run_id(folder: Path) -> str:
    """The id of the W&B run, kept in the folder: that of a `wandb agent` or of a user, else the one that is there."""
    path = folder / "wandb-id.txt"
    there = path.read_text(encoding="utf-8").strip() if path.is_file() else ""
    wanted = os.environ.get("WANDB_RUN_ID") or there or uuid.uuid4().hex[:12]
    if wanted != there:
        atomic.write_text(path, wanted)
    return wanted
