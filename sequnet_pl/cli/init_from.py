"""--init_from: a new run from the weights of a trained network, whose shape and sample rate it has."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from sequnet_pl.errors import UsageError, UserError
from sequnet_pl.models.network import Network
from sequnet_pl.training.checkpoints import read
from sequnet_pl.training.trained import Trained, architecture, load_trained, newest_checkpoint

NAME = "init_from"

Pairs = list[tuple[str, str | None]]
"""Flags without dashes, and their values, as they are given."""

_SAMPLE_RATE = ("sample_rate", "sr", "data.sample_rate")


def check(pairs: Pairs, subcommand: str) -> None:
    """UsageError where --init_from does not go with what else is asked for."""
    flags = dict(pairs)
    if NAME not in flags:
        return
    if not flags[NAME]:
        raise UsageError("--init_from takes a file or a folder: a checkpoint, a run or a published snapshot")
    if subcommand != "fit":
        raise UsageError(f"--init_from begins a training; what to {subcommand} is said with --ckpt_path")
    if (goes_on := flags.get("ckpt_path")) not in (None, "auto"):
        raise UsageError(f"--init_from begins a new run, --ckpt_path {goes_on} goes on with one: leave one of them out")


def settled(pairs: Pairs, begins: bool) -> tuple[Pairs, str | None]:
    """The flags with those that the weights decide, and the name of their network; as they were without --init_from.

    Args:
        pairs: The flags.
        begins: Whether a training begins; one that goes on, or is scored, needs the weights no more.

    Raises:
        UserError: There are no weights to begin with.
        UsageError: Flags contradict them.
    """
    flags = dict(pairs)
    rest = [(name, value) for name, value in pairs if name != NAME]
    given = flags[NAME] if NAME in flags else _of_configs([value for name, value in pairs if name == "config"])
    if not begins or given is None:
        return rest, None
    path = newest_checkpoint(Path(given))
    trained = _load(path, flags)
    decided = {"model": trained.name, **architecture(trained.network), "sample_rate": trained.sample_rate}
    added: Pairs = []
    for name, value in decided.items():
        names = {"model": ("model",), "sample_rate": _SAMPLE_RATE}.get(name, (name, f"model.init_args.{name}"))
        said = [(each, flags[each]) for each in names if each in flags]
        for each, other in said:
            if not _agrees(name, other, value):
                raise UsageError(f"--{each} {other}, but {path} has {name} {value}; leave --{each} out")
        if not said and name != "model":
            added.append((f"data.{name}" if name == "sample_rate" else f"model.init_args.{name}", str(value)))
    return [*rest, *added, (NAME, str(path))], trained.name


def take_weights(path: Path, network: Network, layers: int | None) -> Trained:
    """Have a network begin with the weights at `path`, averaged ones where there are any. UserError where none fit."""
    trained = load_trained(path, layers)
    if (its := architecture(trained.network)) != (own := architecture(network)):
        raise UserError(f"{path} has {_told(its)}, but the network of this run {_told(own)}; they must be the same")
    network.load_state_dict(trained.network.state_dict())
    return trained


def _told(shape: dict[str, int]) -> str:
    return ", ".join(f"{name} {value}" for name, value in shape.items())


def _load(path: Path, flags: dict[str, str | None]) -> Trained:
    layers = flags.get("layers", flags.get("model.init_args.layers"))
    if layers is not None and not layers.isdecimal():
        raise UsageError(f"--layers takes a whole number, not {layers}")
    if layers is None and _is_published_wavenet(read(path)):
        raise UsageError(f"{path} does not tell the layers of its blocks: say --layers, 13 in the published WaveNet")
    return load_trained(path, int(layers) if layers else None)


def _is_published_wavenet(content: dict[str, Any]) -> bool:
    return any("filter_convs." in name for name in content.get("model_state_dict", {}))


def _agrees(name: str, given: str | None, value: str | int) -> bool:
    """Whether a flag says what the weights do; a model may be named by its class."""
    return given == str(value) or (name == "model" and str(given).lower().endswith(f".{value}module"))


def _of_configs(paths: Sequence[str | None]) -> str | None:
    """What the last config that says it begins from; configs that cannot be read are told by others."""
    found = None
    for path in filter(None, paths):
        try:
            settings = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError):
            continue
        found = settings.get(NAME, found) if isinstance(settings, dict) else found
    return found
