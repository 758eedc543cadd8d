"""The published networks and their step, imported from a copy of their repository (github f90/Seq-U-Net)."""

import contextlib
import importlib
import io
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sequnet_pl.audio.mulaw import CLASSES, SILENCE
from sequnet_pl.errors import UserError
from sequnet_pl.models.network import Network
from sequnet_pl.models.sequnet import SeqUNet
from sequnet_pl.models.wavenet import WaveNet


def published_step(folder: Path, network: Network, clips: int) -> Callable[[], None]:
    """A function that makes the published network of the shape of `network` read one more code of each clip.

    UserError where the folder is no copy of the repository.
    """
    device = next(network.parameters()).device
    model = published_network(folder, network).eval().to(device)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model(_one_hot(1, network.window(1).inputs).to(device), mode="save")  # fills what the model keeps of the past
    _repeat(model, clips)
    code = _one_hot(clips, 1).to(device)

    @torch.no_grad()
    def step() -> None:
        model(code, mode="step")

    return step


def published_network(folder: Path, network: Network, outputs: int = 1) -> nn.Module:
    """The published network of the shape of `network`, with weights of its own, for windows of so many outputs.

    UserError where the folder is no copy of the repository.
    """
    with contextlib.redirect_stdout(io.StringIO()):
        if isinstance(network, WaveNet):
            layer, end = network.layers[0], network.end_1
            layers = max(layer.dilation for layer in network.layers).bit_length()
            sizes = (layer.conv.out_channels // 2, layer.conv.in_channels, end.in_channels)
            model = _imported(folder / "raw_audio", "wavenet_model").WaveNetModel
            blocks = len(network.layers) // layers
            return model(layers, blocks, *sizes, CLASSES, outputs, layer.conv.kernel_size[0], bias=True)
        assert isinstance(network, SeqUNet)
        levels, depth = network.cycle.bit_length(), network.depths[0]
        sizes = (CLASSES, network.output_conv.in_channels, levels, CLASSES, network.kernel_size, outputs, depth)
        return _imported(folder, "sequnet_res").Sequnet(*sizes)


def _imported(folder: Path, module: str) -> Any:
    if not (folder / f"{module}.py").is_file():
        raise UserError(f"there is no {module}.py in {folder}; --reference takes a copy of github f90/Seq-U-Net")
    sys.path.insert(0, str(folder))
    try:
        return importlib.import_module(module)
    finally:
        sys.path.remove(str(folder))


def _one_hot(clips: int, samples: int) -> Tensor:
    x = torch.zeros(clips, CLASSES, samples)
    x[:, SILENCE] = 1
    return x


def _repeat(model: nn.Module, clips: int) -> None:
    """The past that the modules keep as plain attributes, of one clip, for all of them."""
    for module in model.modules():
        for name, value in vars(module).items():
            if isinstance(value, Tensor):
                setattr(module, name, value.repeat(clips, 1, 1))
            elif isinstance(value, list) and value and all(isinstance(x, Tensor) for x in value):
                setattr(module, name, [x.repeat(clips, 1, 1) for x in value])
