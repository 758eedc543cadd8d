"""Checkpoints: read as numbers only, and found again in the run folders; without Lightning, which sampling lacks."""

import os
import pickle
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import yaml

from sequnet_pl.errors import UserError
from sequnet_pl.models import registry
from sequnet_pl.project import program

LAST = "last.ckpt"


def read(path: Path, map_location: Any = "cpu", mmap: bool = False) -> dict[str, Any]:
    """Return the content of a checkpoint; with `mmap` tensors are read from the file when they are used.

    UserError where there is none, it is damaged, or it holds more than numbers.
    """
    if not path.is_file():
        raise UserError(f"there is no checkpoint {path}; name another path, or train one with {program('train')}")
    try:
        content = torch.load(path, map_location=map_location, weights_only=True, mmap=mmap)
    except pickle.UnpicklingError as error:
        raise UserError(f"refused the checkpoint {path}: it holds code or is damaged; nothing of it was run") from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise UserError(f"the checkpoint {path} is damaged (cut short?); take another one") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} is no checkpoint: it holds a {type(content).__name__}")
    return content


_RENAMED = {"ScoredEMA": "EMAWeightAveraging", "BestCheckpoint": "ModelCheckpoint"}
_REMOVED = ("FirstAndLastRows", "LastCheckpoint{")  # LastCheckpoint had settings in its key


def current_callback_states(checkpoint: dict[str, Any], path: Path) -> dict[str, Any]:
    """Return the checkpoint at `path` with callback states under the names of this version, and paths of its folder.

    Lightning looks states up by name, and drops the best scores of a folder that has been moved.
    """
    folder, states = path.parent.resolve(), {}
    for key, state in checkpoint.get("callbacks", {}).items():
        name, brace, settings = key.partition("{")
        if "best_k_models" in state and state.get("dirpath"):
            state = state | {
                "dirpath": str(folder),
                "best_k_models": {
                    str(folder / Path(each).name): score for each, score in state["best_k_models"].items()
                },
            }
            moved = ("best_model_path", "kth_best_model_path", "last_model_path")
            state |= {each: str(folder / Path(state[each]).name) for each in moved if state.get(each)}
        if not key.startswith(_REMOVED):
            states[_RENAMED.get(name, name) + brace + settings] = state
    return checkpoint | {"callbacks": states}


def resumable_progress(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """Return a checkpoint with Lightning's counters as they are at the end of a batch within the first run of an epoch.

    From those of an epoch's end Lightning resumes with one more batch of that epoch if `max_steps` is set, and a
    resumed run does not count the epoch that it begins with.
    """
    loop = checkpoint.get("loops", {}).get("fit_loop", {})
    batches = loop.get("epoch_loop.batch_progress", {})
    if not batches.get("current", {}).get("ready"):  # nothing was trained
        return checkpoint
    epochs, steps = loop["epoch_progress"], loop["epoch_loop.state_dict"]
    ended = epochs["current"]["processed"] > epochs["current"]["completed"]
    changed = {
        "epoch_progress": {part: _within_epoch(counts["completed"]) for part, counts in epochs.items()},
        "epoch_loop.batch_progress": batches
        | {part: batches[part] | {"completed": batches[part]["completed"] - ended} for part in ("current", "total")},
        "epoch_loop.state_dict": steps | {"_batches_that_stepped": steps["_batches_that_stepped"] - ended},
    }
    return checkpoint | {"loops": checkpoint["loops"] | {"fit_loop": loop | changed}}


def _within_epoch(completed: int) -> dict[str, int]:
    return {"ready": completed + 1, "started": completed + 1, "processed": completed, "completed": completed}


def hyper_parameters(checkpoint: dict[str, Any], key: str = "hyper_parameters") -> dict[str, Any]:
    """Return the hyper-parameters of the module (or of the data) in a checkpoint, without those of Lightning."""
    return {name: value for name, value in checkpoint.get(key, {}).items() if not name.startswith("_")}


def data_state(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """Return the state of the AudioDataModule in a checkpoint; {} if there is none."""
    states = (state for state in checkpoint.values() if isinstance(state, dict) and "fingerprint" in state)
    return next(states, {})


@dataclass(frozen=True)
class Run:
    """A run folder, as its config.yaml describes it."""

    folder: Path
    network: str
    checkpoints: Path
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def last(self) -> Path:
        """Its newest checkpoint, where there is one."""
        return self.checkpoints / LAST


def run_of(config: Path) -> Run | None:
    """The run that a config.yaml describes; None where it is none."""
    try:
        settings = yaml.safe_load(config.read_text(encoding="utf-8"))
        snapshots, class_path = settings.get("snapshot_dir"), settings["model"]["class_path"]
        return Run(
            config.parent,
            registry.find(class_path) or class_path,
            Path(snapshots) if snapshots else config.parent / "checkpoints",
            settings,
        )
    except (OSError, yaml.YAMLError, ValueError, KeyError, AttributeError, TypeError):  # anybody's config.yaml
        return None


def _runs(root: Path) -> Iterator[Run]:
    """Iterate over the runs below a folder, also below links in it."""
    seen = set()
    for folder, below, _ in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:  # a link to a folder around it
            below.clear()
        elif run := run_of(Path(folder, "config.yaml")):
            yield run
        seen.add(real)


def newest_run(root: Path, network: str | None = None, name: str | None = None) -> Run:
    """The run below `root` with the newest `last.ckpt`, of `network` and called `name` where given.

    UserError where there is none.
    """
    runs = [run for run in _runs(root) if run.last.is_file()]
    runs = [run for run in runs if network in (None, run.network) and name in (None, run.folder.name)]
    if not runs:
        what = " ".join(word for word in (network, "run", name) if word)
        raise UserError(f"there is no {what} with a {LAST} below {root}; train one first, or name a checkpoint's path")
    return max(runs, key=lambda run: run.last.stat().st_mtime)


def run_of_checkpoint(path: Path, root: Path) -> Run | None:
    """The run that wrote a checkpoint: the folder around it, or the one below `root` that names its folder."""
    around = run_of(path.parent.parent / "config.yaml")
    if around and around.checkpoints.resolve() == path.parent.resolve():
        return around
    return next((run for run in _runs(root) if run.checkpoints.resolve() == path.parent.resolve()), None)


def score_of(path: Path) -> float | None:
    """Return the score that a checkpoint was kept for; None if it has none or cannot be read."""
    try:
        states = read(path, mmap=True).get("callbacks", {}).values()
    except UserError:
        return None
    return next((float(state["current_score"]) for state in states if state.get("current_score") is not None), None)


def best_of(run: Run) -> Path:
    """Return the best checkpoint of a run; the last one if none was kept, as in a short run."""
    scores = {path: score for path in run.checkpoints.glob("best-*.ckpt") if (score := score_of(path)) is not None}
    return min(scores, key=lambda path: scores[path], default=run.last)


def named(given: str, root: Path, network: str | None = None, name: str | None = None) -> Path:
    """Return the checkpoint at a path, or for `last` and `best` that of the newest run below `root`; see `newest_run`.

    UserError where there is no such run.
    """
    if given not in ("last", "best"):
        return Path(given)
    run = newest_run(root, network, name)
    return run.last if given == "last" else best_of(run)
