"""One step of a network as a list of operations between rings of frames, for the C++ engine and for the CUDA kernel.

A ring holds the frames of a layer. An operation reads frames of rings, some of them in the past, and writes frames to
others: sums of matrix products or the response of a recurrence, then an activation, then frames that are added. A layer
that is added to a network's `forward` and `step` is added here, too. Letters: B clips, C channels, F frames, H channels
of a recurrence, K kernel, N states of a channel as complex conjugate pairs, Q = 256 classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sequnet_pl.models.layers import CodeConv, GatedConv, GatedUpsample, RMSNorm
from sequnet_pl.models.levels import Level
from sequnet_pl.models.network import Network, State
from sequnet_pl.models.sashimi import POOL, Block, SaShiMi, SaShiMiState, StateSpace
from sequnet_pl.models.sequnet import SeqUNet, SeqUNetState
from sequnet_pl.models.wavenet import Layer, WaveNet, WaveNetState

_LAYERS = {Level, GatedConv, GatedUpsample, Layer, CodeConv, RMSNorm, Block, StateSpace}
_LAYERS |= {nn.Conv1d, nn.Linear, nn.LayerNorm, nn.ModuleList, nn.Identity}

Activation = Literal["none", "gate", "glu", "gelu"]
"""Of the halves f and g of the rows: tanh(f) * sigmoid(g) is `gate`, f * sigmoid(g) is `glu`."""


@dataclass(eq=False)
class Ring:
    """The frames of a layer, one every 2^shift samples; a frame's index is its time >> shift.

    Attributes:
        width: Channels of a frame.
        shift: Log2 of the samples between two frames.
        norm: An RMSNorm or LayerNorm, whose frames are read; anything else is none.
        raw: Of normalised frames: the ring of the frames before the normalisation.
        max_lag: Frames that the oldest frame that is read lies back.
        relu: Whether what is read is rectified.
    """

    width: int
    shift: int = 0
    norm: nn.Module | None = None
    raw: "Ring | None" = field(init=False, default=None)
    max_lag: int = 0
    relu: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.norm, RMSNorm | nn.LayerNorm):
            self.raw = Ring(self.width, self.shift)

    @property
    def written(self) -> "Ring":
        """The ring that a layer writes to."""
        return self.raw or self


class Recurrence(NamedTuple):
    """x' = decay x + gain u, y = Re(output x) + direct u in each channel, of the frame u that is read first.

    The states lie in a ring as 2N frames that stay where they are: real and imaginary part in turn.
    """

    states: Ring
    decay: Tensor  # (H, N), complex
    gain: Tensor  # (H, N), complex
    output: Tensor  # (H, N), complex
    direct: Tensor  # (H,)


class Output(NamedTuple):
    """A frame that an operation writes: for each frame that is read a matrix (C, channels), or None for zeros.

    A gated output has matrices of 2C rows. `ahead` counts frames after that of the operation.
    """

    ring: Ring
    weights: Sequence[Tensor | None]
    bias: Tensor
    activation: Activation = "none"
    ahead: int = 0
    recurrence: Recurrence | None = None

    @property
    def gated(self) -> bool:
        """Whether there are two rows a channel."""
        return self.activation in ("gate", "glu")


class Read(NamedTuple):
    """A frame that an operation reads, `lag` frames back."""

    ring: Ring
    lag: int


@dataclass(eq=False)
class Operation:
    """What is computed of some frames, due every 2^shift samples.

    Attributes:
        reads: Of normalised frames the newest first.
        added: Numbers of the frames that are added to what is written, as they were before their normalisation.
    """

    reads: list[Read]
    outputs: list[Output]
    shift: int = 0
    added: Sequence[int] = ()


class Frames(NamedTuple):
    """The frames of a ring that a tensor of a state holds, in channels of the tensor from number `first` on.

    `window` has the newest frames, `rotating` the newest by index modulo their number, from index `offset` on. `ahead`
    has those that are known early: after the last index that is a multiple of `group`. `fixed` are those from 0 on.
    """

    ring: Ring
    frames: int
    kind: Literal["window", "rotating", "ahead", "fixed"] = "window"
    first: int = 0
    offset: int = 0
    group: int = 1

    def indices(self, time: int) -> NDArray[np.int64]:
        """Indices (F,) of the frames at a time of the state."""
        now, numbers = time >> self.ring.shift, np.arange(self.frames)
        if self.kind == "rotating":
            return now - (now - self.offset - numbers) % self.frames
        if self.kind == "ahead":
            return now - now % self.group + 1 + numbers
        return numbers if self.kind == "fixed" else now - self.frames + 1 + numbers


@dataclass
class Schedule:
    """All steps of a network.

    Attributes:
        input: The ring of the input convolution.
        lookup: Weights (K, Q, C) of the input convolution.
        lookup_biases: Its bias for each label (1 + labels, C); the first for no label.
        operations: In the order in which they may run.
        patterns: The operations of a step, by how often its time can be divided by two (the last: so often or more).
        frames: Of a state: the number of a tensor among `tensors`, and what it holds.
    """

    input: Ring
    lookup: Tensor
    lookup_biases: Tensor
    operations: list[Operation] = field(default_factory=list)
    patterns: list[list[int]] = field(default_factory=list)
    frames: list[tuple[int, Frames]] = field(default_factory=list)

    def add(self, reads: list[Read], outputs: list[Output], shift: int = 0, added: Sequence[int] = ()) -> int:
        """Add an operation; return its number."""
        for ring, lag in reads:
            ring.max_lag = max(ring.max_lag, lag)
        self.operations.append(Operation(reads, outputs, shift, added))
        return len(self.operations) - 1

    def add_linear(self, reads: Sequence[Read], weights: Sequence[Tensor], bias: Tensor, widest: int) -> list[Ring]:
        """Add an operation without a gate; return what it writes, cut to rings of at most `widest` channels."""
        outputs = []
        for first in range(0, len(bias), widest):
            rows = slice(first, first + widest)
            outputs.append(Output(Ring(len(bias[rows])), [weight[rows] for weight in weights], bias[rows]))
        self.add(list(reads), outputs)
        return [output.ring for output in outputs]

    def add_head(self, rings: list[Ring], layers: Sequence[nn.Conv1d | nn.Linear], widest: int) -> None:
        """Add the layers to the logits; each reads rectified frames."""
        for layer in layers:
            for ring in rings:
                ring.relu = True
            weights = layer.weight.flatten(1).split([ring.width for ring in rings], dim=1)
            rings = self.add_linear([Read(ring, 0) for ring in rings], weights, _bias(layer), widest)


def _input_biases(layer: CodeConv) -> Tensor:
    return layer.bias.unsqueeze(0) if layer.label_rows is None else layer.bias + layer.label_rows


def of_clips(biases: Tensor, state: State, clips: int) -> Tensor:
    """Return the biases (B, C) of clips by their labels from those of all labels (labels, C)."""
    return (biases[:1].expand(clips, -1) if state.labels is None else biases[state.labels]).contiguous()


def _bias(layer: nn.Conv1d | nn.Linear) -> Tensor:
    assert layer.bias is not None
    return layer.bias


def tensors(state: State) -> list[Tensor]:
    """Return the tensors that hold frames, (B, C, F) or (B, C) each; engines update them in place."""
    if isinstance(state, WaveNetState):
        return state.rings
    if isinstance(state, SaShiMiState):
        pooled = [tensor.transpose(1, 2) for tensor in (*state.pooled, *state.held)]
        return pooled + [layer.view(*layer.shape[:2], -1) for rate in state.layers for layer in rate]
    assert isinstance(state, SeqUNetState)
    found: list[Tensor] = []
    for level in range(len(state.down)):
        found += [*state.down[level], state.upsample[level], state.odd[level], *state.up[level]]
    return found + state.bottleneck


def history(state: State) -> Tensor:
    """Return the newest codes (B, K) uint8, which the input convolution reads; zeros (B, 1) where it reads only one."""
    if isinstance(state, SeqUNetState):
        return state.codes.to(torch.uint8).contiguous()
    held = tensors(state)[0]
    return torch.zeros(len(held), 1, dtype=torch.uint8, device=held.device)


def advance(state: State, codes: Tensor) -> None:
    """Put the codes (B, T) of a block into a state and advance its clock."""
    if isinstance(state, SeqUNetState):
        kept = torch.cat((state.codes, codes.to(state.codes.dtype)), dim=1)
        state.codes.copy_(kept[:, codes.shape[1] :])
    state.time += codes.shape[1]


def is_described(network: Network) -> bool:
    """Return whether network and layers are of the classes that are described here; a subclass may compute else."""
    return type(network) in (SeqUNet, WaveNet, SaShiMi) and all(type(m) in _LAYERS for m in list(network.modules())[1:])


@torch.no_grad()
def schedule(network: Network, widest: int = 1 << 30, fused: bool = False) -> Schedule | None:
    """Return the schedule of a network with its present weights; None for one that is not described here.

    Args:
        network: A SeqUNet, WaveNet or SaShiMi.
        widest: Channels that a frame of the head has at most; wider ones are cut.
        fused: Whether a WaveNet's residual convolutions are multiplied into the next layers, so that no layer waits
            for its input: fewer exchanges, more products.
    """
    if not is_described(network):
        return None
    if isinstance(network, SeqUNet):
        return _sequnet(network, widest)
    if isinstance(network, SaShiMi):
        return _sashimi(network, widest)
    assert isinstance(network, WaveNet)
    return _wavenet(network, widest, fused)


def _sequnet(network: SeqUNet, widest: int) -> Schedule:
    """Level l has a frame every 2^l samples."""
    features, kernel_size, bottom = network.features, network.kernel_size, len(network.levels)

    def ring(shift: int) -> Ring:
        return Ring(features, shift, network.norm)

    result = Schedule(ring(0), network.input_conv.weight, _input_biases(network.input_conv))
    frames: list[list[list[Frames]]] = [[] for _ in range(bottom + 1)]  # of a state's tensors, by level

    def add_layer(conv: nn.Conv1d, x: Ring, target: Ring, condition: Ring | None = None) -> int:
        sources = [x, condition] if condition else [x]
        weights = [part for tap in conv.weight.unbind(-1)[::-1] for part in tap.split(features, dim=1)]
        reads = [Read(source, lag) for lag in range(kernel_size) for source in sources]
        return result.add(reads, [Output(target.written, weights, _bias(conv), "gate")], target.shift, added=[0])

    down: list[list[int]] = [[] for _ in frames]  # operations, by level
    strided, upsample, up = [0] * bottom, [0] * bottom, [[0]] * bottom
    skips: list[Ring] = []
    x = result.input
    for index in range(bottom + 1):
        for layer in network.levels[index].down if index < bottom else network.bottleneck:
            frames[index].append([Frames(x, kernel_size)])
            y = ring(index)
            down[index].append(add_layer(layer.conv, x, y))
            x = y
        if index < bottom:
            frames[index].append([Frames(x, kernel_size)])
            skips.append(x)
            y = ring(index + 1)
            strided[index] = add_layer(network.levels[index].strided.conv, x, y)
            x = y
    for index in reversed(range(bottom)):
        level, condition = network.levels[index], ring(index)
        # both phases read the same frames but for the oldest, which the odd one does not read
        even, odd = (list(part.weight.unbind(-1)[::-1]) for part in (level.upsample.even, level.upsample.odd))
        outputs = [
            Output(condition.written, weights, level.upsample.bias, "gate", phase)
            for phase, weights in enumerate((even, [*odd, None]))
        ]
        frames[index] += [[Frames(x, len(even))], [Frames(condition.written, 1, "ahead", group=2)]]
        upsample[index] = result.add([Read(x, lag) for lag in range(len(even))], outputs, index + 1, added=[0])
        x, up[index] = skips[index], []
        for layer in level.up:
            frames[index].append([Frames(x, kernel_size), Frames(condition, kernel_size, first=features)])
            y = ring(index)
            up[index].append(add_layer(layer.conv, x, y, condition))
            x = y
    head = range(len(result.operations), len(result.operations) + len(network.ends))
    result.add_head([x], network.ends, widest)
    held = [tensor for level in frames for tensor in level]
    result.frames = [(number, part) for number, parts in enumerate(held) for part in parts]
    for deepest in range(bottom + 1):  # the first level whose strided layer is not due
        steps = [*down[0]]
        for index in range(deepest):
            steps += [strided[index], *down[index + 1]]
        for index in reversed(range(min(deepest + 1, bottom))):
            steps += [*([upsample[index]] if index < deepest else []), *up[index]]
        result.patterns.append([*steps, *head])
    return result


def _wavenet(network: WaveNet, widest: int, fused: bool) -> Schedule:
    """Fused, a layer is one operation: it writes its z and, from the z before, what the layer reads, x.

    x = earlier x + R z + r is linear, so the newest tap of the layer is W (earlier x) + (W R) z + W r.
    """
    layers = network.layers
    channels, gated = layers[0].conv.in_channels, layers[0].conv.out_channels // 2
    x = Ring(channels)
    result = Schedule(x, network.start.weight, _input_biases(network.start))
    zs: list[Ring] = []
    for index, layer in enumerate(layers):
        *old, newest = layer.conv.weight.unbind(-1)
        lags = [layer.dilation * tap for tap in range(len(old), 0, -1)]
        z, before = Ring(gated), layers[index - 1].residual if index else None
        if before and fused:
            matrix, constant = before.weight.squeeze(-1).double(), _bias(before).double()
            earlier, x = x, Ring(channels)
            reads = [*(Read(x, lag) for lag in lags), Read(earlier, 0), Read(zs[-1], 0)]
            same = torch.eye(channels, dtype=matrix.dtype, device=matrix.device)
            shifted = _bias(layer.conv).double() + newest.double() @ constant
            outputs = [
                Output(z, [*old, newest, newest.double() @ matrix], shifted, "gate"),
                Output(x, [*[None] * len(old), same, matrix], constant),
            ]
            result.add(reads, outputs)
        else:
            if before:
                earlier, x = x, Ring(channels)
                weights = [before.weight.squeeze(-1), None]
                result.add([Read(zs[-1], 0), Read(earlier, 0)], [Output(x, weights, _bias(before))], added=[1])
            reads = [*(Read(x, lag) for lag in lags), Read(x, 0)]
            result.add(reads, [Output(z, [*old, newest], _bias(layer.conv), "gate")])
        zs.append(z)
        result.frames.append((index, Frames(x, layer.ring_length, "rotating")))
    total = torch.stack([_bias(layer.skip) for layer in layers]).sum(0)
    skips = [layer.skip.weight.squeeze(-1) for layer in layers]
    rings = result.add_linear([Read(z, 0) for z in zs], skips, total, widest)
    result.add_head(rings, [network.end_1, network.end_2], widest)
    result.patterns.append(list(range(len(result.operations))))
    return result


def _sashimi(network: SaShiMi, widest: int) -> Schedule:
    """Rate r has a frame every 4^r samples; the frames of a group that is up-pooled are known at its start."""
    bottom, shifts = len(network.down), POOL.bit_length() - 1
    x = Ring(network.start.bias.numel())
    result = Schedule(x, network.start.weight, _input_biases(network.start))
    skips, blocks = [x], [list(rate) for rate in network.rates]
    down: list[int] = []  # operations, by rate
    up: list[list[int]] = [[] for _ in network.up]
    pooled: list[Frames] = []  # of a state's tensors
    held: list[Frames] = []
    states: list[list[Frames]] = [[] for _ in blocks]

    def add_blocks(rate: int, x: Ring, target: Ring) -> list[int]:
        """Add the blocks of a rate, and what the first has read to what the last gives."""
        first, shift = x, x.shift
        for block, after in zip(blocks[rate], [*blocks[rate][1:], None], strict=True):
            memory, width = block.memory, x.width
            exponents, gain = memory.exponents_and_gains()
            response = 2 * torch.view_as_complex(memory.output)
            kept = Ring(width, shift, max_lag=2 * gain.shape[1] - 1)
            states[rate].append(Frames(kept, 2 * gain.shape[1], "fixed"))
            recurrence = Recurrence(kept, exponents.exp(), gain, response, memory.direct)
            remembered, wide = Ring(width, shift), Ring(2 * width, shift)
            middle = Ring(width, shift, block.norm_2)
            y = Ring(width, shift, after.norm_1) if after else target
            zeros = torch.zeros_like(memory.direct)
            result.add([Read(x, 0)], [Output(remembered, [None], zeros, "gelu", recurrence=recurrence)], shift)
            glu = Output(middle.written, [block.gate.weight, None], block.gate.bias, "glu")
            result.add([Read(remembered, 0), Read(x, 0)], [glu], shift, added=[1])
            result.add([Read(middle, 0)], [Output(wide, [block.wide.weight], block.wide.bias, "gelu")], shift)
            reads = [Read(wide, 0), Read(middle, 0), *([] if after else [Read(first, 0)])]
            narrow = Output(y.written, [block.narrow.weight, *[None] * (len(reads) - 1)], block.narrow.bias)
            result.add(reads, [narrow], shift, added=range(1, len(reads)))
            x = y
        count = 4 * len(blocks[rate])
        return list(range(len(result.operations) - count, len(result.operations)))

    for rate, layer in enumerate(network.down):
        norm = blocks[-1][0].norm_1 if rate + 1 == bottom else None
        y = Ring(2 * x.width, x.shift + shifts, norm)
        reads = [Read(x, lag) for lag in reversed(range(POOL))]
        outputs = [Output(y.written, layer.weight.split(x.width, dim=1), layer.bias)]
        down.append(result.add(reads, outputs, y.shift))
        pooled.append(Frames(x, POOL, "rotating", offset=1))
        skips.append(y)
        x = y
    y = Ring(x.width, x.shift)
    center = add_blocks(bottom, x, y)
    for rate in reversed(range(bottom)):
        skip, layer, held_ring = skips[rate], network.up[rate], Ring(skips[rate].width, skips[rate].shift)
        outputs = [
            Output(held_ring, [weight], bias, ahead=1 + index)
            for index, (weight, bias) in enumerate(
                zip(layer.weight.split(skip.width), layer.bias.split(skip.width), strict=True)
            )
        ]
        spread = result.add([Read(y, 0)], outputs, y.shift)
        held.insert(0, Frames(held_ring, POOL, "ahead", group=POOL))
        x = Ring(skip.width, skip.shift, blocks[rate][0].norm_1)
        y = Ring(skip.width, skip.shift, None if rate else network.norm)
        none = torch.zeros_like(layer.bias[: skip.width])
        joined = result.add(
            [Read(skip, 0), Read(held_ring, 0)], [Output(x.written, [None, None], none)], skip.shift, [0, 1]
        )
        up[rate] = [spread, joined, *add_blocks(rate, x, y)]
    ends = len(result.operations)
    if network.hidden is None:
        result.add_linear([Read(y, 0)], [network.end.weight], network.end.bias, widest)
    else:
        rings = result.add_linear([Read(y, 0)], [network.hidden.weight], network.hidden.bias, widest)
        result.add_head(rings, [network.end], widest)
    head = list(range(ends, len(result.operations)))
    result.frames = list(enumerate([*pooled, *held, *(each for rate in states for each in rate)]))
    for deepest in range(bottom + 1):
        steps = down[:deepest] + (center if deepest == bottom else [])
        for rate in reversed(range(min(deepest + 1, bottom))):
            steps = steps + (up[rate] if rate < deepest else up[rate][1:])
        result.patterns += [[*steps, *head]] * (1 if deepest == bottom else shifts)
    return result
