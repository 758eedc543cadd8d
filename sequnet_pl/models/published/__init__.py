"""Weights of the published implementation: its names and layouts, both ways, and its networks read off them.

Published names: `downsampling_blocks.l` and `upsampling_blocks.l` both belong to level l. Filter and gate are two
convolutions there and one of twice the width here; a transposed weight lies as (in, out, K) there and by phase here;
a first convolution is (out, Q, K) there and a table (K, Q, out) here.
"""

import re
from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor

from sequnet_pl.audio.mulaw import CLASSES
from sequnet_pl.errors import UserError
from sequnet_pl.models.network import Network
from sequnet_pl.models.sequnet import SeqUNet
from sequnet_pl.models.wavenet import WaveNet

Weights = dict[str, Tensor]


def network_from_weights(weights: Mapping[str, Tensor], layers: int = 13) -> Network:
    """The network that tensors under published names describe, with these weights, in their floating-point type.

    Args:
        weights: Tensors by published name; a prefix `module.` is dropped.
        layers: Layers a block of a WaveNet, which its weights do not contain; a Seq-U-Net needs none.

    Raises:
        UserError: Names or shapes belong to neither network, or `layers` does not divide a WaveNet's layers.
    """
    try:
        network = _build(_named(weights), layers)
        ours = from_published(network, weights)
        if extra := _named(weights).keys() - map(_regular, to_published(network)):
            raise ValueError(f"unknown name {min(extra)}")
        network.to(next(iter(ours.values())).dtype).load_state_dict(ours)
    except (KeyError, ValueError, RuntimeError) as error:
        raise UserError(f"these are not the weights of a published network: {str(error).splitlines()[0]}") from error
    return network


def from_published(network: Network, tensors: Mapping[str, Tensor]) -> Weights:
    """Tensors by published name, weights or what an optimizer keeps for each, under our names and in our layout.

    KeyError where one is missing.
    """
    tensors = _named(tensors)
    ours: Weights = {}
    for theirs, name, (convert, _) in _modules(network):
        ours |= {f"{name}.{key}": value for key, value in convert(_below(theirs, tensors)).items()}
    return ours


def to_published(network: Network, tensors: Mapping[str, Tensor] | None = None) -> Weights:
    """Tensors by our names, the network's weights or its gradients, under the published names and in their layout.

    The convolution of the published WaveNet that feeds nothing, which ours lacks, is zeros. UserError for a Seq-U-Net
    with what the published one lacks: a norm, levels of different depths, a hidden layer before the output, state-space
    blocks; for labels.
    """
    if isinstance(network, SeqUNet) and (
        network.normed or len({*network.depths}) > 1 or network.hidden_conv or network.memories
    ):
        raise UserError("the published Seq-U-Net has no norm, head or state, and one depth; this one has others")
    if network.label_count:
        raise UserError("the published networks have no labels; this one cannot be converted")
    tensors = network.state_dict() if tensors is None else tensors
    published: Weights = {}
    for theirs, name, (_, convert) in _modules(network):
        published |= {f"{theirs}.{key}": value for key, value in convert(_below(name, tensors)).items()}
    published = {_irregular(name): tensor for name, tensor in published.items()}
    if isinstance(network, WaveNet):
        dead = f"residual_convs.{len(network.layers) - 1}"
        (residual, _, _), gated = published["start_conv.weight"].shape, published["filter_convs.0.weight"].shape[0]
        published[f"{dead}.weight"] = published["start_conv.weight"].new_zeros(residual, gated, 1)
        published[f"{dead}.bias"] = published["start_conv.weight"].new_zeros(residual)
    return published


def _named(tensors: Mapping[str, Tensor]) -> Weights:
    return {_regular(name.removeprefix("module.")): tensor for name, tensor in tensors.items()}


def _regular(name: str) -> str:
    """A WaveNet's `filter_convs.i` and `gate_convs.i` as `gated_convs.i.filter` and `.gate`, like a Seq-U-Net's."""
    return re.sub(r"^(filter|gate)_convs\.(\d+)", r"gated_convs.\2.\1", name)


def _irregular(name: str) -> str:
    return re.sub(r"^gated_convs\.(\d+)\.(filter|gate)", r"\2_convs.\1", name)


def _build(weights: Weights, layers: int) -> Network:
    """A network of the shape that the weights have, with weights of its own."""

    def count(pattern: str) -> int:
        return len({match[0] for name in weights if (match := re.match(pattern, name))})

    first = weights.get("input_conv.weight", weights.get("start_conv.weight"))
    if first is None:
        raise ValueError("neither input_conv.weight nor start_conv.weight is among the names")
    features, classes, kernel_size = first.shape
    if classes != CLASSES:
        raise ValueError(f"they read {classes} classes, not {CLASSES}")
    if "input_conv.weight" in weights:
        return SeqUNet(count(r"downsampling_blocks\.\d+") + 1, features, count(r"bottlenecks\.\d+"), kernel_size)
    dilation_channels, residual_channels, kernel_size = weights["gated_convs.0.filter.weight"].shape
    total = count(r"gated_convs\.\d+")
    if layers < 1 or total % layers:
        divisors = ", ".join(str(number) for number in range(1, total + 1) if total % number == 0)
        raise UserError(f"{layers} layers a block do not divide this WaveNet's {total} layers; one of {divisors} does")
    skip_channels = weights["end_conv_1.weight"].shape[0]
    return WaveNet(layers, total // layers, dilation_channels, residual_channels, skip_channels, kernel_size)


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> Weights:
    return {name[len(prefix) + 1 :]: tensor for name, tensor in tensors.items() if name.startswith(prefix + ".")}


_HALVES = ("filter", "gate")
_Convert = Callable[[Weights], Weights]


def _plain(weights: Weights) -> Weights:
    return {key: weights[key] for key in ("weight", "bias")}


def _table(weights: Weights) -> Weights:
    """A first convolution and a table of rows by code; the permutation is its own inverse."""
    return {"weight": weights["weight"].permute(2, 1, 0), "bias": weights["bias"]}


def _joined(theirs: Weights) -> Weights:
    """Filter and gate as one convolution of twice the width."""
    return {f"conv.{key}": torch.cat([theirs[f"{half}.{key}"] for half in _HALVES]) for key in ("weight", "bias")}


def _split(ours: Weights) -> Weights:
    parts = {key: zip(_HALVES, ours[f"conv.{key}"].chunk(2), strict=True) for key in ("weight", "bias")}
    return {f"{half}.{key}": tensor for key, halves in parts.items() for half, tensor in halves}


def _by_phase(theirs: Weights) -> Weights:
    """A gated transposed convolution as two convolutions, of the even and of the odd taps, reversed."""
    weight = torch.cat([theirs[f"{half}.weight"] for half in _HALVES], dim=1).transpose(0, 1)  # (2 out, in, K)
    bias = torch.cat([theirs[f"{half}.bias"] for half in _HALVES])
    return {"even.weight": weight[..., 0::2].flip(-1), "odd.weight": weight[..., 1::2].flip(-1), "bias": bias}


def _transposed(ours: Weights) -> Weights:
    even, odd = ours["even.weight"].flip(-1), ours["odd.weight"].flip(-1)
    weight = even.new_empty(*even.shape[:2], even.shape[2] + odd.shape[2])
    weight[..., 0::2], weight[..., 1::2] = even, odd
    published: Weights = {}
    for half, half_weight, bias in zip(_HALVES, weight.chunk(2), ours["bias"].chunk(2), strict=True):
        published |= {f"{half}.weight": half_weight.transpose(0, 1), f"{half}.bias": bias}
    return published


_PLAIN, _TABLE, _GATED, _UPSAMPLE = (_plain, _plain), (_table, _table), (_joined, _split), (_by_phase, _transposed)


def _modules(network: Network) -> Iterator[tuple[str, str, tuple[_Convert, _Convert]]]:
    """Published name, our name, and conversion from and to the published layout of every module with weights."""
    if isinstance(network, SeqUNet):
        yield "input_conv", "input_conv", _TABLE
        for level in range(len(network.levels)):
            down, up = f"downsampling_blocks.{level}", f"upsampling_blocks.{level}"
            for layer in range(network.depths[level]):
                yield f"{down}.convs.{layer}", f"levels.{level}.down.{layer}", _GATED
                yield f"{up}.convs.{layer}", f"levels.{level}.up.{layer}", _GATED
            yield f"{down}.downconv", f"levels.{level}.strided", _GATED
            yield f"{up}.upconv", f"levels.{level}.upsample", _UPSAMPLE
        for layer in range(network.depths[-1]):
            yield f"bottlenecks.{layer}", f"bottleneck.{layer}", _GATED
        yield "output_conv.1", "output_conv", _PLAIN
    if isinstance(network, WaveNet):
        yield "start_conv", "start", _TABLE
        for index, layer in enumerate(network.layers):
            yield f"gated_convs.{index}", f"layers.{index}", _GATED
            yield f"skip_convs.{index}", f"layers.{index}.skip", _PLAIN
            if layer.residual is not None:
                yield f"residual_convs.{index}", f"layers.{index}.residual", _PLAIN
        yield "end_conv_1", "end_1", _PLAIN
        yield "end_conv_2", "end_2", _PLAIN
