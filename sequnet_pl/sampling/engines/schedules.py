"""The schedules of the two networks, and which frames a state of theirs has.

Letters: B clips, C channels, F frames, K kernel.
"""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sequnet_pl.models.network import Network, State
from sequnet_pl.models.sequnet import SeqUNet, SeqUNetState
from sequnet_pl.models.wavenet import WaveNet, WaveNetState
from sequnet_pl.sampling.engines.schedule import Output, Read, Ring, Schedule, Ticks


@torch.no_grad()
def schedule(network: Network) -> Schedule | None:
    """The schedule of a network with the weights that it has now; None for one that is none of the two."""
    if isinstance(network, SeqUNet):
        return _sequnet(network)
    return _wavenet(network) if isinstance(network, WaveNet) else None


def tensors(state: State) -> list[Tensor]:
    """Those that frames lie in, (B, C, F) or (B, C) each, in the order of the schedule; they are updated in place."""
    if isinstance(state, WaveNetState):
        return state.rings
    assert isinstance(state, SeqUNetState)
    found: list[Tensor] = []
    for level in range(len(state.down)):
        found += [*state.down[level], state.upsample[level], state.odd[level], *state.up[level]]
    return found + state.bottleneck


def _width(channels: int) -> int:
    return -(-channels // 8) * 8


def _bias(conv: nn.Conv1d) -> Tensor:
    assert conv.bias is not None
    return conv.bias


def _taps(ring: Ring, backs: Iterable[int]) -> list[Read]:
    return [Read(ring, back) for back in backs]


def _end(result: Schedule, parts: list[Ring], convs: list[nn.Conv1d]) -> None:
    """The convolutions to the logits, a ReLU between them, of what is read of a frame, which may be several rings."""
    for conv in convs:
        weight = result.columns(list(conv.weight.squeeze(-1).split(result.width, dim=1)))
        reads = [Read(part, 0) for part in parts]
        parts = result.add_linear(reads, weight, _bias(conv), relu=conv is not convs[-1])


def _sequnet(network: SeqUNet) -> Schedule:
    """Level l has a tick every 2^l samples. The rings are those that the CPU kernels have, see native/sequnet.h."""
    features, kernel_size, bottom = network.features, network.kernel_size, len(network.levels)

    def ring(shift: int) -> Ring:
        return Ring(features, shift, raw=Ring(features, shift) if network.normed else None)

    lookup = network.input_conv
    result = Schedule(_width(features), ring(0), lookup.weight, lookup.bias, network.normed)
    window, coarse_window = range(kernel_size), range(kernel_size // 2 + 1)  # ticks back, the newest first
    frames: list[list[tuple[Ring, Ticks]]] = [[] for _ in range(bottom + 1)]  # of a state, by level

    def keep(ring: Ring, level: int, backs: range = window) -> None:
        ticks = np.array(backs[::-1])
        frames[level].append((ring, lambda time: (time >> ring.shift) - ticks))

    def layer(conv: nn.Conv1d, x: Ring, shift: int, condition: Ring | None = None) -> tuple[int, Ring]:
        y = ring(shift)
        # input channels are those of x, then those of the condition
        weight = conv.weight.unflatten(1, (-1, features)).permute(0, 3, 1, 2).flip(1).flatten(1, 2)
        reads = [Read(source, back) for back in window for source in (x, condition) if source]
        return result.add(reads, [Output(y.given, weight, _bias(conv), gated=True)], identity=0), y

    down: list[list[int]] = []  # operations, by level
    strided, upsample, up = [0] * bottom, [0] * bottom, [[0]] * bottom
    skips: list[Ring] = []
    x = result.input
    for index in range(bottom + 1):
        layers = network.levels[index].down if index < bottom else network.bottleneck
        down.append([])
        for one in layers:
            keep(x, index)
            number, x = layer(one.conv, x, index)
            down[index].append(number)
        if index < bottom:
            keep(x, index)
            skips.append(x)
            strided[index], x = layer(network.levels[index].strided.conv, x, index + 1)
    for index in reversed(range(bottom)):
        level, condition = network.levels[index], ring(index)
        # both phases read the same frames but for the oldest, which the odd one does not see
        weights = level.upsample.even.weight, F.pad(level.upsample.odd.weight, (1, 0))
        outputs = [
            Output(condition.given, weight.transpose(1, 2).flip(1), level.upsample.bias, gated=True, ahead=phase)
            for phase, weight in enumerate(weights)
        ]
        keep(x, index, coarse_window)
        frames[index].append((condition.given, lambda time, index=index: np.array([time >> index | 1])))
        upsample[index] = result.add(_taps(x, coarse_window), outputs, identity=0)
        x, up[index] = skips[index], []
        for one in level.up:
            keep(x, index)
            keep(condition, index)
            number, x = layer(one.conv, x, index, condition)
            up[index].append(number)
    result.operations[-1].relu = not network.normed
    ends = range(len(result.operations), len(result.operations) + len(network.ends))
    _end(result, [x], network.ends)
    result.operations[ends[0]].relu_first = network.normed
    result.frames = [frame for level in frames for frame in level]
    for deepest in range(bottom + 1):  # the first level whose strided layer is not due
        steps = [*down[0]]
        for index in range(deepest):
            steps += [strided[index], *down[index + 1]]
        for index in reversed(range(min(deepest + 1, bottom))):
            steps += [*([upsample[index]] if index < deepest else []), *up[index]]
        result.patterns.append([*steps, *ends])
    return result


def _wavenet(network: WaveNet) -> Schedule:
    """One operation a layer: it gives the layer's z and, from the z before, what the layer reads, x.

    x = earlier x + R z + r is linear, so the newest tap of the layer is W (earlier x) + (W R) z + W r: the product of
    its matrix W with R, the residual convolution before, is made here, and no layer waits for its x.
    """
    layers = network.layers
    channels, dilation_channels = layers[0].conv.in_channels, layers[0].conv.out_channels // 2
    x = Ring(channels)
    result = Schedule(_width(max(channels, dilation_channels)), x, network.start.weight, network.start.bias)
    zs: list[Ring] = []
    for index, layer in enumerate(layers):
        weight, bias = layer.conv.weight.double(), _bias(layer.conv).double()
        *old, newest = weight.unbind(-1)
        backs = [layer.dilation * tap for tap in range(len(old), 0, -1)]
        z = Ring(dilation_channels)
        if index == 0:
            reads = _taps(x, [*backs, 0])
            outputs = [Output(z, result.columns([*old, newest]), bias, gated=True)]
        else:
            before = layers[index - 1].residual
            assert before is not None
            matrix, constant = before.weight.squeeze(-1).double(), _bias(before).double()
            same = torch.eye(channels, dtype=matrix.dtype, device=matrix.device)
            earlier, x = x, Ring(channels)
            reads = [*_taps(x, backs), Read(earlier, 0), Read(zs[-1], 0)]
            outputs = [
                Output(z, result.columns([*old, newest, newest @ matrix]), bias + newest @ constant, gated=True),
                Output(x, result.columns([*[0 * same] * len(old), same, matrix]), constant),
            ]
        result.add(reads, outputs)
        zs.append(z)
        slots = np.arange(layer.ring_length)
        result.frames.append((x, lambda time, slots=slots: time - (time - slots) % len(slots)))
    skip = result.columns([layer.skip.weight.squeeze(-1) for layer in layers])
    total = torch.stack([_bias(layer.skip) for layer in layers]).sum(0)
    parts = result.add_linear([Read(z, 0) for z in zs], skip, total, relu=True)
    _end(result, parts, [network.end_1, network.end_2])
    result.patterns.append(list(range(len(result.operations))))
    return result
