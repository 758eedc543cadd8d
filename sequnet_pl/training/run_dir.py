"""The directory of a run: named, made and locked by its first process, so that no other run writes to it."""

import fcntl
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TextIO

from torch import distributed

from sequnet_pl import atomic
from sequnet_pl.errors import UsageError
from sequnet_pl.training.checkpoints import LAST, Run, run_of_checkpoint
from sequnet_pl.training.run import Job

_NAME = "SEQUNET_PL_RUN_NAME"  # in the environment: the name that the first process has chosen
_OF_A_RUN = ("config.yaml", "metrics.csv", "run.json")


@dataclass
class RunDir:
    """The directories of a run, which this process locks."""

    folder: Path
    checkpoints: Path
    is_new: bool  # whether this process made it
    _locks: list[TextIO] = field(default_factory=list)

    def lock(self) -> "RunDir":
        """Lock both directories until this process ends.

        Raises:
            UsageError: Another process has locked one of them.
            UserError: One of them cannot be written.
        """
        for folder in (self.folder, self.checkpoints):
            path = atomic.make_folder(folder) / ".lock"
            with atomic.writing(path):
                file = path.open("w")
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError) as error:
                if self.is_new:
                    shutil.rmtree(self.folder, ignore_errors=True)
                raise UsageError(f"{folder} is in use by another run: wait for its end, or name another one") from error
            except OSError:  # a network disk without locks
                pass
            self._locks.append(file)
        return self

    def release(self, began: bool) -> None:
        """Unlock the directories, and remove those of a run that has not started."""
        for file in self._locks:
            file.close()
        with suppress(OSError):
            (self.checkpoints / ".lock").unlink()
        if self.is_new and not began:
            shutil.rmtree(self.folder, ignore_errors=True)
            for folder in (*self.folder.parents[:2], self.checkpoints, self.checkpoints.parent):
                with suppress(OSError):  # others have something in it
                    folder.rmdir()


def open_for(job: Job, launched: bool, again: bool) -> tuple[Path, RunDir | None]:
    """Return the folder of a run, and for the process that writes it its directories, locked; set the paths to them.

    Args:
        job: The task; `best.dirpath` and `last.dirpath` of its settings are set.
        launched: Whether Lightning has launched this process, whose launcher has then chosen the name.
        again: See `create`.

    Raises:
        UsageError: The folder belongs to another run, or is in use.
    """
    settings, claim, root = job.settings, None, Path(job.settings.log_dir)
    root = root if root.name == job.network else root / job.network
    snapshots = Path(settings.snapshot_dir) if settings.snapshot_dir else None
    run = job.checkpoint and run_of_checkpoint(job.checkpoint, Path(settings.log_dir))
    if not job.fits:
        assert job.checkpoint
        folder = run.folder if run else job.checkpoint.parent
    elif run and is_same(run, root, settings.log_dir, settings.name):
        folder = run.folder
        if job.writes:
            claim = RunDir(folder, snapshots or folder / "checkpoints", is_new=False).lock()
    else:
        chosen = os.environ.get(_NAME) if launched else None
        name = settings.name or chosen or default_name(settings.trainer.num_nodes)
        folder = root / name
        if job.writes:
            claim = create(root, name, snapshots, not settings.name, again)
            folder = claim.folder
        os.environ[_NAME] = folder.name
    settings.best.dirpath = settings.last.dirpath = str(snapshots or folder / "checkpoints")
    return folder, claim


def create(root: Path, name: str, checkpoints: Path | None, is_default_name: bool, again: bool) -> RunDir:
    """Return the directories of a new run below `root`. UsageError where its name or `checkpoints` is taken.

    A default name that is taken becomes `name`-2 and so on. With `again`, a run that has no checkpoint yet may start
    from scratch in its folder. `checkpoints` is None for checkpoints/ in the run folder.
    """
    if ".." in Path(name).parts or not Path(name).name or Path(name).is_absolute():
        raise UsageError(f"--name {name} is not the name of a folder below {root}")
    folder, number = root / name, 1
    atomic.make_folder(folder.parent)
    while True:
        kept = checkpoints or folder / "checkpoints"
        taken = (kept / LAST).exists() or any(kept.glob("best-*.ckpt"))
        try:
            folder.mkdir()
        except FileExistsError:
            taken = taken or (not again and (is_default_name or any((folder / each).exists() for each in _OF_A_RUN)))
            if not taken:
                return RunDir(folder, kept, is_new=False).lock()
        else:
            if not taken:
                return RunDir(folder, kept, is_new=True).lock()
            folder.rmdir()
        if not is_default_name or (checkpoints and kept.exists()):
            raise UsageError(
                f"{kept if checkpoints else folder} belongs to another run: --ckpt_path last resumes it, "
                "another --name or --snapshot_dir starts a new one"
            )
        folder, number = root / f"{name}-{number + 1}", number + 1


def is_same(run: Run, root: Path, log_dir: str, name: str) -> bool:
    """Return whether the settings name the folder of an existing run, even if it was moved since."""
    here = run.folder.resolve()
    renamed = name not in ("", run.settings.get("name")) and (root / name).resolve() != here
    elsewhere = log_dir != run.settings.get("log_dir") and not here.is_relative_to(root.resolve())
    return not (renamed or elsewhere)


def job_name(environment: Mapping[str, str] = os.environ) -> str | None:
    """Return the name from SLURM, the same in all tasks of a job and when it is requeued; None elsewhere."""
    if "SLURM_PROCID" not in environment or environment.get("SLURM_JOB_NAME") in ("bash", "interactive"):
        return None
    if array := environment.get("SLURM_ARRAY_JOB_ID"):
        return f"job-{array}_{environment['SLURM_ARRAY_TASK_ID']}"
    return f"job-{environment['SLURM_JOB_ID']}"


def default_name(nodes: int = 1) -> str:
    """Return the name of the job, or date and time. UsageError for several nodes, which need a name."""
    if name := job_name():
        return name
    now = f"{datetime.now():%Y-%m-%d_%H-%M-%S}"
    if distributed.is_torchelastic_launched():
        # torchrun keeps a store for its processes, also while it restarts them: the first name is kept
        store = distributed.TCPStore(  # pyright: ignore[reportPrivateImportUsage]  # documented as public
            os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=False
        )
        return store.compare_set("sequnet_pl/run_name", "", now).decode()
    if nodes > 1:
        raise UsageError("name the run with --name, the same on every node")
    return now
