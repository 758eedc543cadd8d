"""The networks as schedules, and the tensors of their states.

A layer that is added to a network's `forward` and `step` is added here, too. Letters as in schedule.py.
"""

import torch
from torch import Tensor, nn

from sequnet_pl.models.layers import CodeConv, GatedConv, GatedUpsample, RMSNorm, bias_of
from sequnet_pl.models.levels import Level
from sequnet_pl.models.network import Network, State
from sequnet_pl.models.sashimi import POOL, SaShiMi, SaShiMiState
from sequnet_pl.models.sequnet import SeqUNet, SeqUNetState
from sequnet_pl.models.state_space import Block, StateSpace
from sequnet_pl.models.wavenet import Layer, WaveNet, WaveNetState
from sequnet_pl.sampling.engines.schedule import Frames, Output, Read, Recurrence, Ring, Schedule

_LAYERS = {Level, GatedConv, GatedUpsample, Layer, CodeConv, RMSNorm, Block, StateSpace}
_LAYERS |= {nn.Conv1d, nn.Linear, nn.LayerNorm, nn.ModuleList, nn.Identity}


def _input_biases(layer: CodeConv) -> Tensor:
    return layer.bias.unsqueeze(0) if layer.label_rows is None else layer.bias + layer.label_rows


def of_clips(biases: Tensor, state: State, clips: int) -> Tensor:
    """Return the biases (B, C) of clips by their labels from those of all labels (labels, C)."""
    return (biases[:1].expand(clips, -1) if state.labels is None else biases[state.labels]).contiguous()


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
    return found + state.bottleneck + [layer.view(*layer.shape[:2], -1) for layer in state.memories]


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
        return result.add(reads, [Output(target.written, weights, bias_of(conv), "gate")], target.shift, added=[0])

    down: list[list[int]] = [[] for _ in frames]  # operations, by level
    strided, upsample, up = [0] * bottom, [0] * bottom, [[0]] * bottom
    states: list[list[Frames]] = []

    def remember(index: int, x: Ring) -> tuple[Ring, list[int]]:
        """Add the state-space block of a level, if it has one; return its frames and operations."""
        block = network.memory(index)
        if block is None:
            return x, []
        begin, y = len(result.operations), ring(index)
        states.insert(0, [_add_block(result, block, x, y, None)])
        return y, list(range(begin, len(result.operations)))

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
    x, added = remember(bottom, x)
    down[bottom] += added
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
        x, added = remember(index, x)
        up[index] += added
    head = range(len(result.operations), len(result.operations) + len(network.ends))
    result.add_head([x], network.ends, widest)
    held = [tensor for level in (*frames, states) for tensor in level]
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
            matrix, constant = before.weight.squeeze(-1).double(), bias_of(before).double()
            earlier, x = x, Ring(channels)
            reads = [*(Read(x, lag) for lag in lags), Read(earlier, 0), Read(zs[-1], 0)]
            same = torch.eye(channels, dtype=matrix.dtype, device=matrix.device)
            shifted = bias_of(layer.conv).double() + newest.double() @ constant
            outputs = [
                Output(z, [*old, newest, newest.double() @ matrix], shifted, "gate"),
                Output(x, [*[None] * len(old), same, matrix], constant),
            ]
            result.add(reads, outputs)
        else:
            if before:
                earlier, x = x, Ring(channels)
                weights = [before.weight.squeeze(-1), None]
                result.add([Read(zs[-1], 0), Read(earlier, 0)], [Output(x, weights, bias_of(before))], added=[1])
            reads = [*(Read(x, lag) for lag in lags), Read(x, 0)]
            result.add(reads, [Output(z, [*old, newest], bias_of(layer.conv), "gate")])
        zs.append(z)
        result.frames.append((index, Frames(x, layer.ring_length, "rotating")))
    total = torch.stack([bias_of(layer.skip) for layer in layers]).sum(0)
    skips = [layer.skip.weight.squeeze(-1) for layer in layers]
    rings = result.add_linear([Read(z, 0) for z in zs], skips, total, widest)
    result.add_head(rings, [network.end_1, network.end_2], widest)
    result.patterns.append(list(range(len(result.operations))))
    return result


def _sashimi(network: SaShiMi, widest: int) -> Schedule:
    """Rate r has a frame every 4^r samples; what is up-pooled is known for a whole group of frames at its start."""
    bottom, pool_shift = len(network.down), POOL.bit_length() - 1
    x = Ring(network.start.bias.numel())
    result = Schedule(x, network.start.weight, _input_biases(network.start))
    skips, down = [x], [0] * bottom  # operations, by rate
    up: list[list[int]] = [[]] * bottom
    pooled: list[Frames] = []
    held: list[Frames] = []
    states: list[list[Frames]] = [[] for _ in network.rates]

    def add_blocks(rate: int, x: Ring, y: Ring) -> list[int]:
        """Add the blocks of a rate, from x to y; return their operations."""
        begin, first, blocks = len(result.operations), x, list(network.rates[rate])
        for block, after in zip(blocks, [*blocks[1:], None], strict=True):
            target = Ring(x.width, x.shift, after.norm_1) if after else y
            states[rate].append(_add_block(result, block, x, target, None if after else first))
            x = target
        return list(range(begin, len(result.operations)))

    for rate, layer in enumerate(network.down):
        norm = network.rates[bottom][0].norm_1 if rate + 1 == bottom else None
        x, y = skips[rate], Ring(len(layer.bias), skips[rate].shift + pool_shift, norm)
        outputs = [Output(y.written, layer.weight.split(x.width, dim=1), layer.bias)]
        down[rate] = result.add([Read(x, lag) for lag in reversed(range(POOL))], outputs, y.shift)
        pooled.append(Frames(x, POOL, "rotating", offset=1))
        skips.append(y)
    y = Ring(skips[-1].width, skips[-1].shift)
    center = add_blocks(bottom, skips[-1], y)
    for rate in reversed(range(bottom)):
        skip, parts = skips[rate], network.up[rate].weight.chunk(POOL)
        biases, early = network.up[rate].bias.chunk(POOL), Ring(skip.width, skip.shift)
        outputs = [Output(early, [parts[index]], biases[index], ahead=1 + index) for index in range(POOL)]
        spread = result.add([Read(y, 0)], outputs, y.shift)
        held.insert(0, Frames(early, POOL, "ahead", group=POOL))
        x = Ring(skip.width, skip.shift, network.rates[rate][0].norm_1)
        y = Ring(skip.width, skip.shift, None if rate else network.norm)
        outputs = [Output(x.written, [None, None], torch.zeros_like(biases[0]))]
        joined = result.add([Read(skip, 0), Read(early, 0)], outputs, skip.shift, added=[0, 1])
        up[rate] = [spread, joined, *add_blocks(rate, x, y)]
    before_head = len(result.operations)
    first = network.end if network.hidden is None else network.hidden
    rings = result.add_linear([Read(y, 0)], [first.weight], first.bias, widest)
    result.add_head(rings, [] if network.hidden is None else [network.end], widest)
    head = range(before_head, len(result.operations))
    result.frames = list(enumerate([*pooled, *held, *(each for rate in states for each in rate)]))
    for deepest in range(bottom + 1):
        steps = [*down[:deepest], *(center if deepest == bottom else [])]
        for rate in reversed(range(min(deepest + 1, bottom))):
            steps += up[rate][0 if rate < deepest else 1 :]
        result.patterns += [[*steps, *head]] * (1 if deepest == bottom else pool_shift)
    return result


def _add_block(result: Schedule, block: Block, x: Ring, y: Ring, skip: Ring | None) -> Frames:
    """Add a block from x to y, to which frames of `skip` are added, too; return the states of its recurrence."""
    memory, shift = block.memory, x.shift
    exponents, gain = memory.exponents_and_gains()
    count = 2 * gain.shape[1]
    states, remembered = Ring(x.width, shift, max_lag=count - 1), Ring(x.width, shift)
    middle, wide = Ring(x.width, shift, block.norm_2), Ring(2 * x.width, shift)
    response = 2 * torch.view_as_complex(memory.output)
    recurrence = Recurrence(states, exponents.exp(), gain, response, memory.direct)
    zeros = torch.zeros_like(memory.direct)
    result.add([Read(x, 0)], [Output(remembered, [None], zeros, "gelu", recurrence=recurrence)], shift)
    outputs = [Output(middle.written, [block.gate.weight, None], block.gate.bias, "glu")]
    result.add([Read(remembered, 0), Read(x, 0)], outputs, shift, added=[1])
    result.add([Read(middle, 0)], [Output(wide, [block.wide.weight], block.wide.bias, "gelu")], shift)
    added = [middle] if skip is None else [middle, skip]
    outputs = [Output(y.written, [block.narrow.weight, *[None] * len(added)], block.narrow.bias)]
    result.add([Read(ring, 0) for ring in (wide, *added)], outputs, shift, added=range(1, 1 + len(added)))
    return Frames(states, count, "fixed")
