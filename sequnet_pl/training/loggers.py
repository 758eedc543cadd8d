"""Where metrics go: a CSV file that is never lost, and W&B that never asks."""

import csv
import logging
import os
import sys
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lightning_fabric.utilities.rank_zero import rank_zero_only
from pytorch_lightning.loggers import Logger, WandbLogger

from sequnet_pl import atomic
from sequnet_pl.errors import UsageError

log = logging.getLogger(__name__)

_MODES = ("online", "offline", "shared", "disabled")
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
        rows: list[dict[str, Any]] = []
        if not self._columns and self._path.is_file():
            with self._path.open(newline="") as file:
                self._columns = next(csv.reader(file), [])
        row = {**metrics, "step": step}
        if new := sorted(row.keys() - set(self._columns)):
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
            place = header.index("step")
            kept = [row for row in rows if len(row) == len(header) and int(row[place]) < step]
            with temporary.open("w", newline="") as new:
                csv.writer(new).writerows([header, *kept])


def can_log_to(folder: Path) -> bool:
    """Return whether W&B and TensorBoard can write below a folder; log a warning if its name is not UTF-8."""
    if _is_utf8(str(folder.absolute())):
        return True
    text = "W&B and TensorBoard cannot write below %s, whose name is not UTF-8; metrics.csv holds it all"
    rank_zero_only(log.warning)(text, folder)
    return False


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def wandb_logger(folder: Path, name: str, group: str) -> WandbLogger | None:
    """Return W&B's logger for a run folder; a resumed run continues the same W&B run.

    It is online if a key is set and the server answers, otherwise offline; then `wandb sync` uploads it later. The
    WANDB_ variables mean what W&B's documents say and win over what is chosen here; None if they disable it. All files
    of W&B are in the run folder unless they name another one.

    Raises:
        UsageError: WANDB_MODE is not valid. Other variables raise W&B's own error, before anything is written.
    """
    given = os.environ
    for variable in [name for name, value in given.items() if name.startswith("WANDB_") and not value]:
        del given[variable]  # W&B refuses an empty number; set to nothing is not set
    if (mode := _mode()) == "disabled":
        return None
    if not _is_utf8("".join(sys.argv)):
        log.warning("W&B cannot record a command line that is not UTF-8: this run is logged to metrics.csv alone")
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
    silent: dict[str, Any] = (
        {} if mode != "offline" or "WANDB_SILENT" in given else {"settings": wandb.Settings(silent=True)}
    )
    if silent:
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
    """Return whether a server answers, whatever its answer is; log a warning if not."""
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


def _mode() -> str:
    """Return the mode that the environment asks for. UsageError if there is no such mode."""
    mode = os.environ.get("WANDB_MODE", "online")
    if mode not in _MODES:
        raise UsageError(f"WANDB_MODE is {mode!r}, but must be one of {', '.join(_MODES)}")
    return mode


def _run_id(folder: Path) -> str:
    """The id of the W&B run, kept in the folder: that of a `wandb agent` or of a user, else the one that is there."""
    path = folder / "wandb-id.txt"
    there = path.read_text(encoding="utf-8").strip() if path.is_file() else ""
    wanted = os.environ.get("WANDB_RUN_ID") or there or uuid.uuid4().hex[:12]
    if wanted != there:
        atomic.write_text(path, wanted)
    return wanted
