"""Trained networks: the newest checkpoint in a folder, ours or a published snapshot, and the network that it holds."""

import hashlib
import inspect
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sequnet_pl import pretrained
from sequnet_pl.audio.files import SAMPLE_RATE
from sequnet_pl.errors import UsageError, UserError, did_you_mean
from sequnet_pl.models import registry
from sequnet_pl.models.network import Network
from sequnet_pl.models.published import network_from_weights
from sequnet_pl.training import checkpoints
from sequnet_pl.training.optimization import LEARNING

PUBLISHED_LAYERS = 13
"""Layers a block of the published WaveNet, which its weights do not contain."""


@dataclass(frozen=True)
class Trained:
    """A network with its weights, and the settings in its checkpoint."""

    path: Path
    network: Network
    step: int
    data: dict[str, Any]
    """Hyper-parameters of the AudioDataModule that it learnt from; empty for a published snapshot."""
    labels: tuple[str, ...] = ()
    """Its labels, in the order of their numbers, which start at 1."""

    @property
    def name(self) -> str:
        """Name of the network, as of `--model`."""
        return registry.name_of(self.network)

    @property
    def sample_rate(self) -> int:
        """Samples a second that the network has learnt."""
        return self.data.get("sample_rate", SAMPLE_RATE)

    def with_labels(self, labels: Sequence[str]) -> Network:
        """Return the network with these labels instead of its own. Unknown labels become no label."""
        numbers = {name: number for number, name in enumerate(self.labels, 1)}
        self.network.select_labels([numbers.get(name, 0) for name in labels])
        return self.network

    def label_numbers(self, label: str, clips: int) -> Tensor | None:
        """Return the labels (clips,) of clips that all have this one; None for an empty name.

        Raises:
            UsageError: The network has no such label.
        """
        if not label:
            return None
        if not self.labels:
            raise UsageError(f"--label {label}: {self.path} has no labels; train with --labels folder")
        if label not in self.labels:
            names = ", ".join(self.labels)
            raise UsageError(f"{self.path} has no label {label}: choose {names}{did_you_mean(label, self.labels)}")
        return torch.full((clips,), self.labels.index(label) + 1)

    @cached_property
    def digest(self) -> str:
        """Short hash of the weights, by which a moved checkpoint is known again."""
        hashed = hashlib.sha256()
        for name, tensor in self.network.state_dict().items():
            hashed.update(name.encode() + tensor.cpu().float().contiguous().numpy().tobytes())
        return hashed.hexdigest()[:16]


def newest_checkpoint(path: Path) -> Path:
    """Return the newest checkpoint in a folder, of a run too: ours by time, else a published snapshot by step.

    A file is returned as it is. UserError where a folder has none.
    """
    if not path.is_dir():
        return path
    for folder in (path, path / "checkpoints"):
        # one whose name begins with a dot is being written, or was when its writer was killed
        if ours := [each for each in folder.glob("*.ckpt") if not each.name.startswith(".")]:
            return max(ours, key=lambda each: each.stat().st_mtime)
    steps = {int(found[1]): each for each in path.iterdir() if (found := re.fullmatch(r"checkpoint_(\d+)", each.name))}
    if not steps:
        raise UserError(f"there is no checkpoint in {path}: neither *.ckpt nor checkpoint_<step>")
    return steps[max(steps)]


def load_trained(path: Path, layers: int | None = None) -> Trained:
    """The network of a checkpoint, ours or a published snapshot.

    Args:
        path: The file.
        layers: Layers a block of a published WaveNet.

    Raises:
        UserError: There is no such file, it is damaged, or it holds something else.
    """
    content = checkpoints.read(path)
    if "model_state_dict" in content:
        network = network_from_weights(content["model_state_dict"], layers or PUBLISHED_LAYERS)
        return Trained(path, network, int(content.get("step", 0)), {})
    network = _network(content, path)
    data = checkpoints.hyper_parameters(content, "datamodule_hyper_parameters")
    state = checkpoints.data_state(content)
    data["held_out"] = state.get("held_out")
    if data.get("split_time") is None and not state.get("split_time"):
        data["split_time"] = False  # now others may cut the same recordings
    labels = tuple(checkpoints.hyper_parameters(content).get("label_names") or ())
    return Trained(path, network, int(content.get("global_step", 0)), data, labels)


def _network(content: dict[str, Any], path: Path) -> Network:
    """The network that the content of the checkpoint at `path` describes, with its weights: averaged where it has both.

    UserError where there is none.
    """
    kind = registry.network_class(registry.check(content.get("network"), path))
    shape = checkpoints.hyper_parameters(content)
    known = inspect.signature(kind).parameters.keys() | set(LEARNING)
    if unknown := shape.keys() - known:
        raise UserError(f"{path} is of another version: it has the setting {', '.join(sorted(unknown))}, unknown here")
    try:
        network = kind(**{name: shape[name] for name in inspect.signature(kind).parameters.keys() & shape.keys()})
        if names := shape.get("label_names"):
            network.select_labels([0] * len(names))
        weights = content["state_dict"]
        if differing := {f"network.{name}" for name in network.state_dict()} ^ weights.keys():
            raise UserError(f"{path} is of another version: its weights differ in {', '.join(sorted(differing)[:3])}")
        network.load_state_dict({name.removeprefix("network."): tensor for name, tensor in weights.items()})
    except (RuntimeError, KeyError, TypeError) as error:
        raise UserError(f"the weights in {path} do not fit its own hyper-parameters; take another one") from error
    return network


def load_pretrained(name: str) -> Trained:
    """Return a bundled network. UsageError, with the names that there are, for another one."""
    return load_trained(pretrained.weights_of(name))


def start_weights(given: str, layers: int | None) -> Trained:
    """Return the weights of a checkpoint, of the newest one in a folder, or of a bundled network.

    Args:
        given: The path, or the name of the bundled network.
        layers: Layers of each block; a published WaveNet does not contain them.

    Raises:
        UsageError: `layers` is missing.
        UserError: There is no such checkpoint.
    """
    path = Path(given)
    if not path.exists():
        if given in pretrained.names():
            path = pretrained.weights_of(given)
        elif question := did_you_mean(given, pretrained.names()):
            raise UsageError(f"there is no checkpoint {given}{question}")
    path = newest_checkpoint(path)
    if layers is None and any("filter_convs." in name for name in checkpoints.read(path).get("model_state_dict", {})):
        raise UsageError(f"{path} does not contain the layers of a block: give --layers, 13 in the published WaveNet")
    return load_trained(path, layers)
