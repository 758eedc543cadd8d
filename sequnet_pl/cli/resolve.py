"""The checkpoint or the weights that a command line names, and the settings that come with them."""

import logging
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from jsonargparse import Namespace

from sequnet_pl.cli.configs import read_config
from sequnet_pl.data.stored import StoredRecordings
from sequnet_pl.errors import UsageError, UserError
from sequnet_pl.models import registry
from sequnet_pl.training import checkpoints
from sequnet_pl.training.module import REVISABLE
from sequnet_pl.training.run_dir import job_name
from sequnet_pl.training.trained import Trained, load_trained

log = logging.getLogger(__name__)


def find_checkpoint(settings: Mapping[str, Any], network: str | None, command: str) -> Path | None:
    """Return the checkpoint to resume from or to score; `last`, `best` and `auto` are looked up.

    UsageError for a score without a checkpoint, UserError where there is no such run or checkpoint.
    """
    given = settings.get("ckpt_path")
    if given is None:
        if command != "fit":
            raise UsageError(f"name what to {command}: --ckpt_path last, best or a path")
        return None
    root, name = Path(settings.get("log_dir") or "logs"), settings.get("name") or None
    if given == "auto" and command == "fit":
        try:
            return checkpoints.named("last", root, network, name or job_name())
        except UserError:
            return None
    return checkpoints.named(given, root, network, name)


def settings_of_checkpoint(path: Path, log_dir: Path) -> tuple[str, dict[str, Any]]:
    """Return the network of a checkpoint, and the settings of its run, or its own where the run folder is gone."""
    content = checkpoints.read(path)
    network = registry.check(content.get("network"), path)
    if run := checkpoints.run_of_checkpoint(path, log_dir):
        return network, read_config(str(run.folder / "config.yaml"))
    data = checkpoints.hyper_parameters(content, "datamodule_hyper_parameters")
    return network, {"model": {"init_args": checkpoints.hyper_parameters(content)}, "data": data}


def agree(settings: Namespace, path: Path, fit: bool) -> None:
    """Set what the checkpoint decides.

    UserError where it is of another version, UsageError where flags contradict it: they would have no effect.
    """
    trained, content = load_trained(path), checkpoints.read(path)
    data = StoredRecordings.of(settings.data.as_dict())
    settings.data.split_time = data.kept_split_time(checkpoints.data_state(content))
    if settings.data.labels and not trained.labels:
        raise UsageError(f"{path} has no labels: leave --labels out")
    if fit and not content.get("optimizer_states"):
        raise UsageError(f"{path} holds weights alone, from which no run resumes; start one with --init_from {path}")
    run = checkpoints.run_of_checkpoint(path, Path(settings.log_dir))
    own = run.settings["model"].get("init_args", {}) if run else {}
    hyper_parameters = checkpoints.hyper_parameters(content)
    if fit and run and (hyper_parameters.get("anneal") or hyper_parameters.get("warmup")):
        limits = [(name, run.settings["trainer"].get(name)) for name in ("max_steps", "max_epochs", "max_time")]
        if any(settings.trainer[name] != value for name, value in limits):
            log.warning("the schedule of the learning rate now spans the new length of the run, so the rate jumps")
    for name, value in hyper_parameters.items():
        if name not in REVISABLE:  # the run may have changed it, as a learning rate finder does
            given = settings.model.init_args.get(name, value)
            if given not in (value, own.get(name, value)):
                raise _contradiction(name, given, path, value)
            settings.model.init_args[name] = value


def adopt_shape(trained: Trained, settings: Namespace, flags: Collection[str]) -> None:
    """Set shape and sample rate to those of the weights that a run starts from, and log what a config has instead.

    UsageError where one of the `flags`, the settings that the command line gives, contradicts the weights.
    """
    replaced = []
    theirs = {f"model.init_args.{name}": value for name, value in trained.network.arguments.items()}
    for key, value in (theirs | {"data.sample_rate": trained.sample_rate}).items():
        if settings[key] != value:
            name = key.rpartition(".")[2]
            if key in flags:
                raise _contradiction(name, settings[key], trained.path, value)
            replaced.append(f"{name} {value} instead of {settings[key]}")
            settings[key] = value
    if replaced:
        log.warning("as in %s: %s", trained.path, ", ".join(replaced))


def _contradiction(name: str, given: Any, path: Path, value: Any) -> UsageError:
    return UsageError(f"--{name} {given}, but {path} has {name} {value}; leave --{name} out")
