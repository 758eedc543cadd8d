"""The networks by name. A network is added here alone: modules, options, pages and checkpoints follow from its class.

Classes are imported on first use, so that command lines are read without torch.
"""

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sequnet_pl.errors import UsageError, UserError, did_you_mean

if TYPE_CHECKING:
    from sequnet_pl.models.network import Network


class Entry(NamedTuple):
    """A network: the path of its class, and its title on pages."""

    class_path: str
    title: str


NETWORKS = {
    "sequnet": Entry("sequnet_pl.models.sequnet.SeqUNet", "Seq-U-Net"),
    "wavenet": Entry("sequnet_pl.models.wavenet.WaveNet", "WaveNet"),
    "sashimi": Entry("sequnet_pl.models.sashimi.SaShiMi", "SaShiMi"),
}
"""The networks of this package, and those that `resolve` has added under the paths of their classes."""
_FORMER = "sequnet_pl.training.module."  # class paths of older configs name modules: sequnet_pl.training.module.XModule


def find(given: object) -> str | None:
    """Return the name of a network from its name or from a class path in a config; None where there is none."""
    if not isinstance(given, str):
        return None
    if given in NETWORKS:
        return given
    former = given.removeprefix(_FORMER).removesuffix("Module") if given.startswith(_FORMER) else None
    for name, entry in NETWORKS.items():
        if given == entry.class_path or former == entry.class_path.rpartition(".")[2]:
            return name
    return None


def title(name: str) -> str:
    """Return the title of a network on pages; the name itself of one that is not registered."""
    return NETWORKS[name].title if name in NETWORKS else name


def network_class(name: str) -> "type[Network]":
    """Return the class of a registered network."""
    module, _, attribute = NETWORKS[name].class_path.rpartition(".")
    return getattr(importlib.import_module(module), attribute)


def options(name: str) -> list[str]:
    """Return the options with which commands load checkpoints of a network: --model if it is outside the package."""
    return ["--model", name] if "." in name else []


def name_of(network: "Network") -> str:
    """Return the name of the network's class; for a class that is not registered the path of the class."""
    kind = type(network)
    path = f"{kind.__module__}.{kind.__qualname__}"
    return find(path) or path


def resolve(given: str) -> str:
    """Return the name of the network that a user gives: a name, or the path of a class outside the package.

    Such a class is imported, from the working directory too, and registered. Its path is its name.

    Raises:
        UsageError: There is no such class, or it is not a Network.
    """
    if (known := find(given)) is not None:
        return known
    if "." not in given or given.startswith("sequnet_pl."):
        names = " or ".join(NETWORKS)
        choices = f"choose {names}, or the path of a class, such as my_networks.MLP"
        raise UsageError(f"there is no model {given}: {choices}{did_you_mean(given, NETWORKS)}")
    _register(given)
    return given


def _register(class_path: str) -> None:
    from sequnet_pl.models.network import Network

    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    module, _, attribute = class_path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(f"cannot import the model {class_path}: {error}") from error
    if not (isinstance(found, type) and issubclass(found, Network)):
        raise UsageError(f"the model {class_path} is not a subclass of sequnet_pl.models.network.Network")
    NETWORKS[class_path] = Entry(class_path, attribute)


def check(name: object, path: Path) -> str:
    """Return the name of the network that a checkpoint names. UserError where it is not registered."""
    if isinstance(name, str) and name in NETWORKS:
        return name
    if isinstance(name, str) and "." in name:
        raise UserError(f"{path} is a checkpoint of {name}, which is not part of this package: add --model {name}")
    raise UserError(f"{path} is not a checkpoint of this project: it names no network")
