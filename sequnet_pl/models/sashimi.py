"""SaShiMi: state-space layers at three rates (Goel, Gu, Donahue and Re 2022), with the diagonal S4D (Gu et al. 2022).

Frames are pooled by 4, twice; the widths double. There are no blocks on the way down. Letters: B batch, T time, C
channels of the finest rate, H channels of a layer, N states of a channel as complex conjugate pairs, P period in
frames, Q = 256 classes. A frame of a pooled rate covers 4 frames of the rate above, the last of which is at a time that
is a multiple of 4 (or of 16).

Silence gives each layer periodic frames: a period of 16 at the finest rate, then 4, then 1. All sequences here come
with one period of what silence gives, (1, P, H): a layer responds to the difference from it, starting from zero.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import torch
from torch import Tensor, nn

from sequnet_pl.audio.mulaw import CLASSES
from sequnet_pl.errors import UsageError
from sequnet_pl.models.frames import last
from sequnet_pl.models.layers import CodeConv
from sequnet_pl.models.network import Network, State, Window, check_sizes
from sequnet_pl.models.precision import float32_products
from sequnet_pl.models.state_space import Block

POOL = 4


@dataclass
class SaShiMiState(State):
    """States of the layers, by rate, the finest first."""

    layers: list[list[Tensor]]  # (B, H, N, 2) of each state-space layer: real and imaginary part
    pooled: list[Tensor]  # (B, 4, H) frames that the next frame of the rate below is made of
    held: list[Tensor]  # (B, 4, H) frames that the rate below gives for the present group


class SaShiMi(Network):
    """SaShiMi with diagonal state-space layers.

    Args:
        features: Channels at the finest rate; each slower rate has twice as many.
        blocks: Blocks at each of the three rates.
        state: States per channel; even.
        norm: Apply a LayerNorm to the frames that layers read, as published.
        head: Channels of a hidden layer before the output; 0, as published, for none.
        score_context: Samples that are read before those that are scored.
    """

    cycle = POOL * POOL
    receptive_field = None

    def __init__(
        self,
        features: int = 64,
        blocks: int = 8,
        state: int = 64,
        norm: bool = True,
        head: int = 0,
        score_context: int = 1024,
    ) -> None:
        super().__init__()
        check_sizes(1, features=features, blocks=blocks)
        check_sizes(0, head=head, score_context=score_context)
        if state < 2 or state % 2:
            raise UsageError(f"state is {state}, but must be even and 2 or more")
        self.score_context = score_context
        widths = [features, POOL // 2 * features, POOL * features]
        self.start = CodeConv(features)
        self.down = _linears([(POOL * wide, 2 * wide) for wide in widths[:-1]])
        self.up = _linears([(2 * wide, POOL * wide) for wide in widths[:-1]])
        kind = nn.LayerNorm if norm else nn.Identity
        rates = nn.ModuleList(nn.ModuleList(Block(wide, state, kind) for _ in range(blocks)) for wide in widths)
        self.rates = cast(Sequence[Sequence[Block]], rates)
        self.norm = kind(features)
        self.hidden = nn.Linear(features, head) if head else None
        self.end = nn.Linear(head or features, CLASSES)

    @property
    def input_layer(self) -> CodeConv:
        """See Network."""
        return self.start

    def matrices(self) -> dict[int, list[Tensor]]:
        """See Network: poolings and the matrices of the blocks."""
        found = {1: [layer.weight for layer in (*self.down, *self.up)], 2: list[Tensor]()}
        for block in (block for rate in self.rates for block in rate):
            for count, weights in block.matrices().items():
                found[count] += weights
        return found

    def window(self, outputs: int) -> Window:
        """See Network."""
        if outputs < 1:
            raise ValueError(f"a window has at least 1 output, not {outputs}")
        outputs = -(-outputs // self.cycle) * self.cycle
        return Window(outputs, outputs)

    def forward(self, codes: Tensor, labels: Tensor | None = None) -> Tensor:
        """See Network. Each code has an output; window sizes are multiples of the cycle."""
        if codes.shape[-1] < 1 or codes.shape[-1] % self.cycle:
            raise ValueError(f"{codes.shape[-1]} codes are no window: it has a multiple of {self.cycle}")
        return self.output(self._frames(codes, labels, _Inputs())).transpose(1, 2)

    def _frames(self, codes: Tensor, labels: Tensor | None, inputs: "_Inputs") -> Tensor:
        """Return the finest frames (B, T, C) of whole cycles of codes after silence; adds what each layer reads."""
        silence = self._silent_codes(1 if labels is None else len(labels), self.cycle)
        x, silent = (self.start(each, labels=labels) for each in (codes, silence))
        for layer in self.down:
            inputs.down.append((x, silent))
            x, silent = layer(_pooled(x)), layer(_pooled(silent))
        x, silent = self._blocks(len(self.down), x, silent, inputs)
        for rate in reversed(range(len(self.up))):
            inputs.up.insert(0, (x, silent))
            before = torch.cat((silent[:, -1:].expand(len(x), -1, -1), x[:, :-1]), dim=1)  # the group before
            x, silent = (
                self._spread(rate, each).flatten(1, 2) + skip
                for each, skip in zip((before, silent.roll(1, dims=1)), inputs.down[rate], strict=True)
            )
            x, silent = self._blocks(rate, x, silent, inputs)
        return x

    def _blocks(self, rate: int, x: Tensor, silent: Tensor, inputs: "_Inputs") -> tuple[Tensor, Tensor]:
        """Map the frames of a rate by its blocks, and add what the first has read."""
        before = x, silent
        for block in self.rates[rate]:
            inputs.blocks.append((rate, block, x, silent))
            x, silent = self._run(block, x, silent)
        return before[0] + x, before[1] + silent

    def _spread(self, rate: int, x: Tensor) -> Tensor:
        """Map frames (..., 2H) of the rate below to 4 frames each, (..., 4, H)."""
        return self.up[rate](x).unflatten(-1, (POOL, -1))

    def output(self, x: Tensor) -> Tensor:
        """Map the finest frames (..., C) to logits (..., Q)."""
        x = self.norm(x)
        return self.end(x if self.hidden is None else torch.relu(self.hidden(x)))

    def read_window(self, codes: Tensor, labels: Tensor | None = None) -> tuple[Tensor, State]:
        """See Network."""
        inputs = _Inputs()
        logits = self.output(self._frames(codes, labels, inputs)[:, -1])
        layers: list[list[Tensor]] = [[] for _ in self.rates]
        for rate, block, x, silent in inputs.blocks:
            layers[rate].append(block.memory.state_after(block.norm_1(x), block.norm_1(silent)))
        pooled = [last(x, POOL).clone() for x, _ in inputs.down]
        held = [self._spread(rate, x[:, -1]) for rate, (x, _) in enumerate(inputs.up)]
        return logits, SaShiMiState(0, layers, pooled, held, labels=labels)

    @float32_products(tf32=False)
    @torch.no_grad()
    def silence(self, batch: int, time: int = 0, labels: Tensor | None = None) -> State:
        """See Network. On the way down all frames of a rate are equal."""
        inputs = _Inputs()
        self._frames(self._silent_codes(1 if labels is None else batch, self.cycle), labels, inputs)

        def repeated(x: Tensor) -> Tensor:
            return x.expand(batch, *x.shape[1:]).clone()

        layers: list[list[Tensor]] = [[] for _ in self.rates]
        for rate, block, _, silent in inputs.blocks:
            ahead = time // POOL**rate % silent.shape[1]
            layers[rate].append(repeated(block.memory.silent_state(block.norm_1(silent), ahead)))
        pooled = [repeated(silent[:, -1:].expand(-1, POOL, -1)) for _, silent in inputs.down]
        held = []
        for rate, (_, silent) in enumerate(inputs.up):
            newest = (time // POOL ** (rate + 1) - 1) % silent.shape[1]
            held.append(repeated(self._spread(rate, silent[:, newest])))
        return SaShiMiState(time, layers, pooled, held, labels=labels)

    @float32_products(tf32=False)
    @torch.no_grad()
    def step(self, code: Tensor, state: State) -> Tensor:
        """See Network. A rate has a frame where the time is a multiple of its 1, 4 or 16 samples."""
        assert isinstance(state, SaShiMiState)
        state.time += 1
        skips = [self.start(code.unsqueeze(1), labels=state.labels).squeeze(1)]  # (B, C)
        for rate, layer in enumerate(self.down):
            slot = (state.time // POOL**rate - 1) % POOL
            state.pooled[rate][:, slot] = skips[rate]
            if slot < POOL - 1:
                break
            skips.append(layer(state.pooled[rate].flatten(1)))
        x = skips[-1]
        for rate in reversed(range(len(skips))):
            read = skips[rate]
            if rate < len(self.up):
                read = read + state.held[rate][:, (state.time // POOL**rate - 1) % POOL]
                if rate < len(skips) - 1:  # after its use: the frame below is for the next group
                    state.held[rate].copy_(self._spread(rate, x))
            x = read
            for block, memory in zip(self.rates[rate], state.layers[rate], strict=True):
                x = block.step(x, memory)
            x = read + x
        return self.output(x)


@dataclass
class _Inputs:
    """Input of layers in a pass over whole cycles: frames (B, T, H) after silence, and those of silence (1, P, H)."""

    down: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    blocks: list[tuple[int, Block, Tensor, Tensor]] = field(default_factory=list)
    up: list[tuple[Tensor, Tensor]] = field(default_factory=list)


def _linears(shapes: Sequence[tuple[int, int]]) -> Sequence[nn.Linear]:
    return cast(Sequence[nn.Linear], nn.ModuleList(nn.Linear(*shape) for shape in shapes))


def _pooled(x: Tensor) -> Tensor:
    """Put 4 frames (B, T, H) side by side: (B, T / 4, 4H)."""
    return x.unflatten(1, (-1, POOL)).flatten(2)
