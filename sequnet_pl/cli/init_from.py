"""--init_from: a new run from the weights of a trained network, whose shape and sample rate it has."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sequnet_pl import pretrained
from sequnet_pl.cli.line import Flag
from sequnet_pl.errors import UsageError, UserError
from sequnet_pl.models.network import Network
from sequnet_pl.training.checkpoints import read
from sequnet_pl.training.trained import Trained, architecture, load_trained, newest_checkpoint


@dataclass(frozen=True)
class Start:
    """What a run begins with."""

    path: Path
    network: str
    """sequnet or wavenet."""
    decided: Mapping[str, int | list[int]]
    """What the weights decide of the settings."""

    def agree(self, network: str | None, flags: Sequence[Flag], typed: Sequence[Flag]) -> None:
        """UsageError where the network that is named, or a flag (by LightningCLI's names and as typed), is another."""
        if network not in (None, self.network):
            raise UsageError(f"the model is {network}, but {self.path} is of {self.network}; leave --model out")
        for (name, value), (short, _) in zip(flags, typed, strict=True):
            if name in self.decided and _compact(value) != _compact(self.decided[name]):
                what = f"{self.path} has {name.split('.')[-1]} {self.decided[name]}"
                raise UsageError(f"--{short} {value}, but {what}; leave --{short} out")

    def config(self, settings: Mapping[str, Any]) -> list[str]:
        """A config of what other settings are to be."""
        others = {name: value for name, value in self.decided.items() if settings.get(name) != value}
        return [json.dumps(others)] if others else []


def check(typed: Sequence[Flag], subcommand: str) -> None:
    """UsageError where --init_from does not go with what else is asked for."""
    flags = dict(typed)
    if "init_from" not in flags:
        return
    if subcommand != "fit":
        raise UsageError(f"--init_from begins a training; what to {subcommand} is said with --ckpt_path")
    if (goes_on := flags.get("ckpt_path")) not in (None, "auto"):
        raise UsageError(f"--init_from begins a new run, --ckpt_path {goes_on} goes on with one: leave one of them out")


def start(given: str, layers: str | None) -> Start:
    """What is found at a path, or comes with the package under this name; a published WaveNet needs its layers a block.

    UserError where there is nothing.
    """
    shipped = given in pretrained.names() and not Path(given).exists()
    path = pretrained.weights_of(given) if shipped else newest_checkpoint(Path(given))
    if layers is not None and not layers.isdecimal():
        raise UsageError(f"--layers takes a whole number, not {layers}")
    if layers is None and any("filter_convs." in name for name in read(path).get("model_state_dict", {})):
        raise UsageError(f"{path} does not tell the layers of its blocks: say --layers, 13 in the published WaveNet")
    trained = load_trained(path, int(layers) if layers else None)
    shape = {f"model.init_args.{name}": value for name, value in architecture(trained.network).items()}
    return Start(path, trained.name, shape | {"data.sample_rate": trained.sample_rate})


def take_weights(path: Path, network: Network, layers: int | None) -> Trained:
    """Have a network begin with the weights at `path`, averaged ones where there are any. UserError where none fit."""
    trained = load_trained(path, layers)
    if (its := architecture(trained.network)) != (own := architecture(network)):
        raise UserError(f"{path} has {_told(its)}, but the network of this run {_told(own)}; they must be the same")
    network.load_state_dict(trained.network.state_dict())
    return trained


def _compact(value: object) -> str:
    return str(value).replace(" ", "")  # [2,1] is [2, 1]


def _told(shape: dict[str, int | list[int]]) -> str:
    return ", ".join(f"{name} {value}" for name, value in shape.items())
