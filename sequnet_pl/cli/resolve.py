"""The checkpoint or the weights that a command line names, and the settings that they bring."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jsonargparse import Namespace

from sequnet_pl import pretrained
from sequnet_pl.cli.configs import read_config
from sequnet_pl.cli.run_dir import job_name
from sequnet_pl.data.stored import StoredRecordings
from sequnet_pl.errors import UsageError, UserError
from sequnet_pl.models.network import Network
from sequnet_pl.training import checkpoints
from sequnet_pl.training.module import REVISABLE
from sequnet_pl.training.trained import Trained, architecture, load_trained, newest_checkpoint


def find_checkpoint(settings: Mapping[str, Any], network: str | None, command: str) -> Path | None:
    """The checkpoint to go on from or to score; `last`, `best` and `auto` are looked up."""
    given = settings.get("ckpt_path")
    if given is None:
        if command != "fit":
            raise UsageError(f"name what to {command}: --ckpt_path last, best or a path")
        return None
    root, name = Path(settings.get("log_dir") or "logs"), settings.get("name") or None
    if given in ("last", "best"):
        run = checkpoints.newest_run(root, network, name)
        return run.last if given == "last" else checkpoints.best_of(run)
    if given == "auto" and command == "fit":
        try:
            return checkpoints.newest_run(root, network, name or job_name()).last
        except UserError:
            return None
    return Path(given)


def settings_of_checkpoint(path: Path, log_dir: Path) -> tuple[str, dict[str, Any]]:
    """The network of a checkpoint, and its run's settings, or its own where the run folder is gone."""
    content = checkpoints.read(path)
    network = checkpoints.network_name(content, path)
    if run := checkpoints.run_of_checkpoint(path, log_dir):
        return network, read_config(str(run.folder / "config.yaml"))
    data = checkpoints.hyper_parameters(content, "datamodule_hyper_parameters")
    return network, {"model": {"init_args": checkpoints.hyper_parameters(content)}, "data": data}


def agree(settings: Namespace, path: Path, fit: bool) -> None:
    """Settings take what the checkpoint has. UsageError where flags contradict it, which would else lose silently."""
    content = checkpoints.read(path)
    data = StoredRecordings.of(settings.data.as_dict())
    settings.data.split_time = data.kept_split_time(checkpoints.data_state(content))
    if fit and not content.get("optimizer_states"):
        raise UsageError(f"{path} holds weights alone, from which no run goes on; begin one with --init_from {path}")
    run = checkpoints.run_of_checkpoint(path, Path(settings.log_dir))
    own = run.settings["model"].get("init_args", {}) if run else {}
    for name, value in checkpoints.hyper_parameters(content).items():
        if name in REVISABLE:
            continue
        given = settings.model.init_args.get(name, value)
        if given not in (value, own.get(name, value)):
            raise UsageError(f"--{name} {given}, but {path} has {name} {value}; leave --{name} out")
        settings.model.init_args[name] = value  # where the run has found a better one, as for the learning rate


@dataclass(frozen=True)
class Start:
    """What a new run begins with."""

    path: Path
    trained: Trained

    @property
    def network(self) -> str:
        """sequnet or wavenet."""
        return self.trained.name

    def apply(self, settings: Namespace, below: Namespace) -> None:
        """Shape and rate are those of the weights. UsageError where flags say others."""
        pairs = [(settings.model.init_args, below.model.init_args, architecture(self.trained.network))]
        pairs += [(settings.data, below.data, {"sample_rate": self.trained.sample_rate})]
        for ours, lower, theirs in pairs:
            for name, value in theirs.items():
                if ours[name] not in (value, lower[name]):
                    raise UsageError(f"--{name} {ours[name]}, but {self.path} has {name} {value}; leave --{name} out")
                ours[name] = value

    def take_weights(self, network: Network) -> None:
        """Have a network begin with the weights, averaged ones where there are any."""
        network.load_state_dict(self.trained.network.state_dict())


def start_from(settings: Mapping[str, Any], network: str | None, layers: int | None) -> Start:
    """What is found at a path, or comes with the package under this name; a published WaveNet needs its layers a block."""
    if settings.get("ckpt_path") not in (None, "auto"):
        raise UsageError(f"--init_from begins a new run, --ckpt_path {settings['ckpt_path']} goes on: leave one out")
    given = settings["init_from"]
    shipped = given in pretrained.names() and not Path(given).exists()
    path = pretrained.weights_of(given) if shipped else newest_checkpoint(Path(given))
    if layers is None and any("filter_convs." in name for name in checkpoints.read(path).get("model_state_dict", {})):
        raise UsageError(f"{path} does not tell the layers of its blocks: say --layers, 13 in the published WaveNet")
    trained = load_trained(path, layers)
    if network not in (None, trained.name):
        raise UsageError(f"the model is {network}, but {path} is of {trained.name}; leave --model out")
    return Start(path, trained)
