"""A run's folder is its own: one process claims it before others start, and no other run writes to it."""

import itertools
import os
import shutil
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from sequnet_pl import atomic
from sequnet_pl.cli.run_name import job_name
from sequnet_pl.errors import UsageError
from sequnet_pl.locks import FolderLock, HeldError
from sequnet_pl.training.checkpoints import LAST, Run

_OF_A_RUN = ("config.yaml", "metrics.csv", "run.json")
_HISTORY = ("metrics.csv", "wandb-id.txt")


@dataclass
class Claim:
    """The folders of a run, as long as they are this process's own."""

    folder: Path
    checkpoints: Path
    locks: list[FolderLock]  # of the first, then of the second
    made: list[Path] = field(default_factory=list)  # folders, the innermost first
    found: set[Path] | None = None  # what was in them before; None where the run was there

    def release(self) -> None:
        """Let others go on with the run."""
        for lock in self.locks[1:]:
            lock.release(remove=True)
        self.locks[0].release()

    def withdraw(self) -> None:
        """Remove what has come since the claim of a new run: it has learnt nothing."""
        if self.found is not None:
            for path in _content(self.folder, self.checkpoints) - self.found - {self.checkpoints}:
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)
        self.release()
        with suppress(OSError):  # somebody else uses it too
            for folder in self.made:
                folder.rmdir()


class _TakenError(UsageError):
    """Another run lives in `folder`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"{folder} is that of another run: --ckpt_path last goes on from there, "
            "another --name or --snapshot_dir begins anew"
        )
        self.folder = folder


def is_same(run: Run, root: Path, log_dir: str, name: str) -> bool:
    """Whether the settings name the folder of a run that there is, wherever it has been moved since, and no other."""
    here = run.folder.resolve()
    renamed = name not in ("", run.settings.get("name")) and (root / name).resolve() != here
    elsewhere = log_dir != run.settings.get("log_dir") and not here.is_relative_to(root.resolve())
    return not (renamed or elsewhere)


def go_on(folder: Path, checkpoints: Path) -> Claim:
    """Claim the folders of a run that goes on. UsageError where another process is at it."""
    atomic.make_folder(folder)
    return _claimed(Claim(folder, checkpoints, [FolderLock(folder)]))


def begin(root: Path, name: str, snapshot_dir: Path | None, made_up: bool, again: bool) -> Claim:
    """Claim the folders of a new run.

    Args:
        root: Where the runs of its network are.
        name: Of the run.
        snapshot_dir: Of its checkpoints, where that is not in its own folder.
        made_up: Whether another name does as well: `name` with -2, -3, ... where it is taken.
        again: Whether a run that has no checkpoint yet may begin again.

    Raises:
        UsageError: The name or `snapshot_dir` is taken.
        UserError: A folder cannot be made.
    """
    if ".." in Path(name).parts or not Path(name).name or Path(name).is_absolute():
        raise UsageError(f"--name {name} is no name of a folder below {root}")
    for number in itertools.count(1):
        folder = root / (name if number == 1 else f"{name}-{number}")
        try:
            return _begin(folder, snapshot_dir or folder / "checkpoints", made_up, again)
        except (_TakenError, HeldError) as error:
            if not made_up or error.folder == snapshot_dir:
                raise
    raise AssertionError


def _begin(folder: Path, checkpoints: Path, made_up: bool, again: bool) -> Claim:
    if (checkpoints / LAST).exists() or any(checkpoints.glob("best-*.ckpt")):
        raise _TakenError(checkpoints)
    made, found = _missing(checkpoints, folder), _content(folder, checkpoints)
    atomic.make_folder(folder.parent)
    try:
        folder.mkdir()
        taken = False
    except FileExistsError:
        taken = made_up or any((folder / name).exists() for name in _OF_A_RUN)
        made.discard(folder)
    lock = FolderLock(folder)
    job = _job()
    restarted = job and lock.note == job and os.environ.get("TORCHELASTIC_RESTART_COUNT") != "0"
    if taken and not (again or restarted):
        lock.release()
        raise _TakenError(folder)
    lock.write(job)
    if taken:
        for name in _HISTORY:  # of what has no checkpoint
            (folder / name).unlink(missing_ok=True)
    innermost_first = sorted(made, key=lambda path: -len(path.parts))
    return _claimed(Claim(folder, checkpoints, [lock], innermost_first, found))


def _claimed(claim: Claim) -> Claim:
    """With the folder of the checkpoints too, in which another run may be."""
    try:
        claim.locks.append(FolderLock(atomic.make_folder(claim.checkpoints)))
    except BaseException:
        claim.withdraw()
        raise
    return claim


def _missing(*folders: Path) -> set[Path]:
    return {path for folder in folders for path in (folder, *folder.parents) if not path.exists()}


def _content(*folders: Path) -> set[Path]:
    return {path for folder in folders for path in folder.glob("*")}


def _job() -> str:
    """What starts a killed run again: a job of SLURM, or torchrun."""
    if run := os.environ.get("TORCHELASTIC_RUN_ID"):
        return f"torchrun {run}"
    return job_name() or ""
