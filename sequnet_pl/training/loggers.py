"""Loggers: a CSV file with all metrics, W&B without prompts, and clips and settings for W&B and TensorBoard.

The functions that log settings, clips and checkpoints are called by the process of rank zero, which has the W&B run.
"""

import csv
import logging
import os
import sys
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import soundfile
from lightning_fabric.utilities.rank_zero import rank_zero_only
from matplotlib.figure import Figure
from matplotlib.image import imread
from pytorch_lightning.loggers import Logger, TensorBoardLogger, WandbLogger

from sequnet_pl import atomic
from sequnet_pl.report.charts import codes_figure
from sequnet_pl.report.run_folder import ClipSet

log = logging.getLogger(__name__)

_REACH_SECONDS = 10  # that a W&B server has to answer


class AppendingCSVLogger(Logger):
    """`metrics.csv` in a run folder: each logged step is written at once, and a resumed run keeps its history."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._path = folder / "metrics.csv"
        self._columns: list[str] = []

    @property
    def name(self) -> str:
        """Name of the run folder."""
        return self._path.parent.name

    @property
    def version(self) -> None:
        """None: each run has a folder of its own."""

    @property
    def save_dir(self) -> str:
        """The run folder."""
        return str(self._path.parent)

    @rank_zero_only
    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Write nothing: config.yaml has them."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Append a row; where a metric is new, rewrite the file with its column."""
        atomic.make_folder(self._path.parent)
        if not self._columns and self._path.is_file():
            with self._path.open(newline="") as file:
                self._columns = next(csv.reader(file), [])
        row = {**metrics, "step": step}
        if new := sorted(row.keys() - set(self._columns)):
            rows: list[dict[str, Any]] = []
            if self._columns:
                with self._path.open(newline="") as file:
                    rows = list(csv.DictReader(file))
            self._columns += new
            with atomic.replacing(self._path) as temporary, temporary.open("w", newline="") as file:
                writer = csv.DictWriter(file, self._columns)
                writer.writeheader()
                writer.writerows([*rows, row])
        else:
            with self._path.open("a", newline="") as file:
                csv.DictWriter(file, self._columns).writerow(row)

    @rank_zero_only
    def forget(self, step: int) -> None:
        """Drop rows of `step` and later ones, and incomplete rows: a resumed run logs them again."""
        if not self._path.is_file():
            return
        with self._path.open(newline="") as old, atomic.replacing(self._path) as temporary:
            rows = csv.reader(old)
            header = next(rows, [])
            column = header.index("step")
            kept = [row for row in rows if len(row) == len(header) and int(row[column]) < step]
            with temporary.open("w", newline="") as new:
                csv.writer(new).writerows([header, *kept])


def can_log_to(folder: Path) -> bool:
    """Return whether folder and command line are UTF-8, as W&B and TensorBoard need; log a warning if not."""
    try:
        "".join([str(folder.absolute()), *sys.argv]).encode()
    except UnicodeEncodeError:
        text = "W&B and TensorBoard need UTF-8: %s and this command line are logged to metrics.csv alone"
        rank_zero_only(log.warning)(text, folder)
        return False
    return True


def wandb_logger(folder: Path, name: str, group: str) -> WandbLogger | None:
    """Return W&B's logger for a run folder; a resumed run continues the same W&B run.

    It is online if a key is set and the server answers, otherwise offline; then `wandb sync` uploads it later. The
    WANDB_ variables work as W&B documents and override the choices here; None if they disable it. All files
    of W&B are in the run folder unless they name another one.
    Variables that are not valid raise W&B's own error, before anything is written.
    """
    given = os.environ
    for variable in [name for name, value in given.items() if name.startswith("WANDB_") and not value]:
        del given[variable]  # W&B refuses an empty number; set to nothing is not set
    if (mode := given.get("WANDB_MODE", "online")) == "disabled":
        return None
    import wandb  # slow to import, and not everybody logs with it

    wandb.Settings().update_from_env_vars(dict(given))
    save_dir = given.get("WANDB_DIR") or folder
    # of tables and artifacts; set before W&B reads its environment for the first time, in `login`
    given.setdefault("WANDB_DATA_DIR", str(Path(save_dir, "wandb").absolute()))
    given.setdefault("WANDB_QUIET", "true")  # neither a history of the metrics nor advice on the console
    if mode != "offline" and not (
        wandb.login(prompt=False, verify=False) and _answers(wandb.setup().settings.base_url)
    ):
        mode = "offline"
    silent: dict[str, Any] = {}
    if mode == "offline" and "WANDB_SILENT" not in given:
        silent = {"settings": wandb.Settings(silent=True)}
        wandb.termsetup(silent["settings"], None)  # Lightning sets an option that W&B has deprecated
        rank_zero_only(print)(f"W&B: offline, in {save_dir}/wandb; upload with: wandb sync {save_dir}/wandb/offline-*")
    return WandbLogger(
        name=given.get("WANDB_NAME") or name,
        group=given.get("WANDB_RUN_GROUP") or group,
        save_dir=save_dir,
        project=given.get("WANDB_PROJECT") or "sequnet_pl",
        id=_run_id(folder),
        resume=given.get("WANDB_RESUME") or "allow",
        mode=mode,
        **silent,
    )


def _answers(url: str) -> bool:
    """Return whether a server answers at all; log a warning if not."""
    try:
        urllib.request.urlopen(url, timeout=_REACH_SECONDS).close()
    except urllib.error.HTTPError:
        pass
    except (OSError, ValueError) as error:
        log.warning("the W&B server %s cannot be reached (%s): this run is logged offline", url, error)
        return False
    return True


def end_wandb(loggers: Iterable[Logger], status: int = 0) -> None:
    """End the W&B runs; the exit of the process would, but with colours in pipes and after all other output."""
    if any(isinstance(logger, WandbLogger) for logger in loggers):
        import wandb

        wandb.finish(exit_code=status)


def _run_id(folder: Path) -> str:
    """The id of the W&B run, kept in the folder: that of a `wandb agent` or of a user, else the one that is there."""
    path = folder / "wandb-id.txt"
    there = path.read_text(encoding="utf-8").strip() if path.is_file() else ""
    wanted = os.environ.get("WANDB_RUN_ID") or there or uuid.uuid4().hex[:12]
    if wanted != there:
        atomic.write_text(path, wanted)
    return wanted


def log_settings(loggers: Iterable[Logger], settings: Mapping[str, Any]) -> None:
    """Log to W&B the settings of a run, and define the x axes of charts and the summaries of scores."""
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            logger.log_hyperparams(dict(settings))
            for name in ("hours_heard", "wall_hours"):
                logger.experiment.define_metric(name, summary="max")
            for name in ("train/bits_per_sample", "val/bits_per_sample"):
                logger.experiment.define_metric(
                    name, step_metric="trainer/global_step", step_sync=True, summary="min,last"
                )


def log_sampling(loggers: Iterable[Logger], sampling: ClipSet, folder: Path) -> None:
    """Log the clips in a folder and the histogram of codes to the loggers that take them."""
    for logger in loggers:
        codes = codes_figure(sampling.real_codes, sampling.generated_codes)
        if isinstance(logger, WandbLogger):
            # one call for all media of a step, without `step=`, which would fight with the logger's own
            logger.experiment.log(_wandb_media(sampling, folder, codes) | {"trainer/global_step": sampling.step})
        if isinstance(logger, TensorBoardLogger):
            board = logger.experiment
            for clip in sampling.clips:
                with (folder / f"{clip.name}.wav").open("rb") as file:
                    samples, rate = soundfile.read(file, dtype="float32")
                board.add_audio(f"samples/{clip.name}", samples[None], sampling.step, rate)
                picture = imread(folder / f"{clip.name}.png")
                board.add_image(f"spectrograms/{clip.name}", picture, sampling.step, dataformats="HWC")
                if clip.bits_per_sample is not None:
                    board.add_scalar(f"likelihood/{clip.name}", clip.bits_per_sample, sampling.step)
            board.add_figure("samples/codes", codes, sampling.step)


def _wandb_media(sampling: ClipSet, folder: Path, codes: Figure) -> dict[str, Any]:
    import wandb

    found: dict[str, Any] = {"samples/codes": wandb.Image(codes)}
    for clip in sampling.clips:
        caption = ", ".join(filter(None, (clip.name, clip.source, *clip.flags)))
        found[f"samples/{clip.name}"] = wandb.Audio(str(folder / f"{clip.name}.wav"), caption=caption)
        found[f"spectrograms/{clip.name}"] = wandb.Image(str(folder / f"{clip.name}.png"), caption=caption)
        if clip.bits_per_sample is not None:
            found[f"likelihood/{clip.name}"] = clip.bits_per_sample
    return found


def log_checkpoint(loggers: Iterable[Logger], files: Iterable[Path]) -> None:
    """Log the best checkpoint and the files beside it as a W&B artifact."""
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            import wandb

            artifact = wandb.Artifact(f"best-{logger.experiment.id}", type="model")
            for path in files:
                artifact.add_file(str(path))
            logger.experiment.log_artifact(artifact, aliases=["best"])
