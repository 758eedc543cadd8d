"""The Seq-U-Net, a causal 1D U-Net whose deep levels run at lower rates (Stoller et al. 2020, sections 3 and 4).

Letters: B batch, T time, C channels, K kernel, Q = 256 classes. Level l has a frame at every 2^l-th sample, counted so
that the last input of a window is at time 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sequnet_pl.audio.mulaw import CLASSES
from sequnet_pl.errors import UsageError
from sequnet_pl.models.frames import last, pad, width
from sequnet_pl.models.layers import CodeConv, GatedConv, RMSNorm, push
from sequnet_pl.models.levels import Level, gated_convs, layers_by_level
from sequnet_pl.models.network import Network, State, Window
from sequnet_pl.models.precision import float32_products
from sequnet_pl.models.receptive_field import receptive_field, window_inputs


@dataclass
class SeqUNetState(State):
    """The last frames that each layer has read; every list is by level, the inner ones by layer in order of flow."""

    codes: Tensor  # (B, K)
    down: list[list[Tensor]]  # (B, C, K) each: the convolutions, then the strided one
    bottleneck: list[Tensor]  # (B, C, K)
    upsample: list[Tensor]  # (B, C, K // 2 + 1) frames of the level below
    odd: list[Tensor]  # (B, C), the fine frame that is known one step early
    up: list[list[Tensor]]  # (B, 2C, K): [skip, condition]


class SeqUNet(Network):
    """Seq-U-Net, residual variant.

    Args:
        levels: Levels, the bottleneck included; the deepest has a frame every 2^(levels - 1) samples.
        features: Channels of every level.
        depth: Gated layers a level, each way; of a list the first is the finest level's, the last all further ones'.
        kernel_size: Taps of every convolution; odd, 3 or more.
        norm: Whether convolutions and output read frames divided by their root mean square.
        head: Channels of a hidden layer before the output; 0, as published, for none.

    With `norm` the identities, and with them odd frames that are held, stay as they are; windows hold what
    convolutions read.
    """

    def __init__(
        self,
        levels: int = 11,
        features: int = 180,
        depth: int | list[int] = 2,
        kernel_size: int = 5,
        norm: bool = False,
        head: int = 0,
    ) -> None:
        super().__init__()
        for name, value, least in (("levels", levels, 1), ("features", features, 1), ("head", head, 0)):
            if value < least:
                raise UsageError(f"{name} is {value}, but must be {least} or more")
        if kernel_size < 3 or kernel_size % 2 == 0:
            raise UsageError(f"kernel_size is {kernel_size}, but must be odd and 3 or more")
        self.features, self.kernel_size = features, kernel_size
        self.depths = layers_by_level(depth, levels)
        self.cycle = 2 ** (levels - 1)
        self.input_conv = CodeConv(features, kernel_size)
        self.normed = norm
        self.norm = RMSNorm(features) if norm else nn.Identity()
        blocks = nn.ModuleList(Level(features, layers, kernel_size, self.norm) for layers in self.depths[:-1])
        self.levels = cast(Sequence[Level], blocks)
        self.bottleneck = gated_convs(self.depths[-1], features, kernel_size)
        self.hidden_conv = nn.Conv1d(features, head, 1) if head else None
        self.output_conv = nn.Conv1d(head or features, CLASSES, 1)
        self.receptive_field = receptive_field(self.depths, kernel_size)

    @property
    def input_layer(self) -> CodeConv:
        """See Network."""
        return self.input_conv

    def pattern(self, time: int) -> int:
        """See Network: it matters how often the time can be divided by two."""
        return time & -time if time % self.cycle else 0

    def matrices(self) -> dict[int, list[Tensor]]:
        """See Network: filters and gates, of even and odd taps where they differ."""
        convolutions = (layer for layer in self.modules() if isinstance(layer, nn.Conv1d))
        return {2: [layer.weight for layer in convolutions if layer not in self.ends]}

    @property
    def ends(self) -> list[nn.Conv1d]:
        """The convolutions from the finest level to the logits; each reads what a ReLU leaves."""
        return [layer for layer in (self.hidden_conv, self.output_conv) if layer is not None]

    def window(self, outputs: int) -> Window:
        """See Network."""
        if outputs < 1:
            raise ValueError(f"a window has at least 1 output, not {outputs}")
        outputs = -(-outputs // self.cycle) * self.cycle
        return Window(window_inputs(self.depths, self.kernel_size, outputs), outputs)

    def forward(self, codes: Tensor, labels: Tensor | None = None) -> Tensor:
        """See Network."""
        overlap = self.window(1).inputs - self.cycle
        outputs = codes.shape[-1] - overlap
        if outputs < 1 or outputs % self.cycle:
            raise ValueError(f"{codes.shape[-1]} codes are no window: {overlap} and a multiple of {self.cycle} are one")
        x = self.input_conv(codes, width(self.features, codes.device), labels)  # (B, T, C)
        skips: list[tuple[Tensor, Tensor]] = []
        for level in self.levels:
            *skip, x = self._run(level.descend, x)
            skips.append((skip[0], skip[1]))
        read = self.norm(x)
        for layer in self.bottleneck:
            x = layer(x, read)
            read = self.norm(x)
        for level in reversed(self.levels):
            x, read = self._run(level.ascend, x, read, *skips.pop())
        return self.output(last(read, outputs)).transpose(1, 2)

    def output(self, x: Tensor) -> Tensor:
        """Map the finest frames (..., C) to logits (..., Q)."""
        for conv in self.ends:
            x = F.linear(torch.relu(x), pad(conv.weight.squeeze(-1), 1, conv.in_channels, x.shape[-1]), conv.bias)
        return x

    def read_window(self, codes: Tensor, labels: Tensor | None = None) -> tuple[Tensor, State]:
        """See Network: `forward`, which notes what each layer has read last."""
        state = self._empty_state(codes[:, -self.kernel_size :].clone(), labels)

        def ends(x: Tensor, frames: int = self.kernel_size) -> Tensor:
            return last(x, frames).transpose(1, 2).clone(memory_format=torch.contiguous_format)

        x = self.input_conv(codes, labels=labels)  # (B, T, C)
        skips: list[Tensor] = []
        for level, windows in zip(self.levels, state.down, strict=True):
            for layer in level.down:
                windows.append(ends(self.norm(x)))
                x = layer(x, self.norm(x))
            windows.append(ends(self.norm(x)))
            skips.append(x)
            x = level.strided(x, self.norm(x))
        for layer in self.bottleneck:
            state.bottleneck.append(ends(self.norm(x)))
            x = layer(x, self.norm(x))
        for index, level in reversed(list(enumerate(self.levels))):
            condition, odd = level.upsample(x, self.norm(x))
            condition = self.norm(condition)
            state.upsample.insert(0, ends(self.norm(x), self.kernel_size // 2 + 1))
            state.odd.insert(0, odd[:, -1].clone())
            x = last(skips.pop(), condition.shape[1])
            for layer in level.up:
                state.up[index].append(torch.cat((ends(self.norm(x)), ends(condition)), dim=1))
                x = layer(x, self.norm(x), condition)
        return self.output(self.norm(x[:, -1])), state

    def _empty_state(self, codes: Tensor, labels: Tensor | None) -> SeqUNetState:
        down, up = ([[] for _ in self.levels] for _ in range(2))
        return SeqUNetState(0, codes, down, [], [], [], up, labels=labels)

    @float32_products(tf32=False)
    @torch.no_grad()
    def silence(self, batch: int, time: int = 0, labels: Tensor | None = None) -> State:
        """See Network. All frames of a level are equal on the way down, and periodic on the way up."""
        kernel_size = self.kernel_size
        codes = self._silent_codes(batch, kernel_size)
        state = self._empty_state(codes, labels)
        state.time = time

        def around(x: Tensor, last: int, frames: int) -> Tensor:
            """Frames up to the `last` of a period (B, P, C) that repeats for ever; its own last frame is number 0."""
            return x[:, torch.arange(last - frames, last, device=x.device) % x.shape[1]]

        def keep(x: Tensor, level: int, frames: int = kernel_size) -> Tensor:
            return around(x, time // 2**level, frames).transpose(1, 2).expand(batch, -1, -1).clone()

        norm = self.norm

        def periodic(layer: GatedConv, x: Tensor, condition: Tensor | None = None) -> Tensor:
            wider = [None if y is None else around(y, 0, y.shape[1] + kernel_size - 1) for y in (x, norm(x), condition)]
            return layer(*wider)

        x = self.input_conv(codes[:1] if labels is None else codes, labels=labels)
        skips: list[Tensor] = []
        for index, level in enumerate(self.levels):
            for layer in level.down:
                state.down[index].append(keep(norm(x), index))
                x = periodic(layer, x)
            state.down[index].append(keep(norm(x), index))
            skips.append(x)
            x = periodic(level.strided, x)
        for layer in self.bottleneck:
            state.bottleneck.append(keep(norm(x), len(self.levels)))
            x = periodic(layer, x)
        for index, level in reversed(list(enumerate(self.levels))):
            period = x.shape[1]
            state.upsample.insert(0, keep(norm(x), index + 1, kernel_size // 2 + 1))
            wider = around(x, 0, period + kernel_size // 2)
            condition, odd = level.upsample(wider, norm(wider))
            condition = norm(condition)
            state.odd.insert(0, keep(odd[:, -period:], index + 1, 1).squeeze(-1))
            x = skips[index].expand(-1, 2 * period, -1)
            for layer in level.up:
                state.up[index].append(torch.cat((keep(norm(x), index), keep(condition, index)), dim=1))
                x = periodic(layer, x, condition)
        return state

    @float32_products(tf32=False)
    @torch.no_grad()
    def step(self, code: Tensor, state: State) -> Tensor:
        """See Network. Level l is updated where the time is a multiple of 2^l; coarser values are held."""
        assert isinstance(state, SeqUNetState)
        state.time += 1
        push(state.codes.unsqueeze(1), code.to(state.codes.dtype).unsqueeze(1))
        x = self.input_conv(state.codes, labels=state.labels).squeeze(1)  # (B, C)
        skips: list[Tensor] = []
        for index, level in enumerate(self.levels):
            *windows, strided = state.down[index]
            for layer, window in zip(level.down, windows, strict=True):
                push(window, self.norm(x))
                x = layer.step(x, window)
            skips.append(x)
            push(strided, self.norm(x))
            if state.time % 2 ** (index + 1):
                break
            x = level.strided.step(x, strided)
        else:
            for layer, window in zip(self.bottleneck, state.bottleneck, strict=True):
                push(window, self.norm(x))
                x = layer.step(x, window)
        for index, skip in reversed(list(enumerate(skips))):
            level = self.levels[index]
            if state.time % 2 ** (index + 1):
                condition = state.odd[index]
            else:
                push(state.upsample[index], self.norm(x))
                condition, odd = level.upsample.step(x, state.upsample[index])
                state.odd[index].copy_(odd)
            x, condition = skip, self.norm(condition)
            for layer, window in zip(level.up, state.up[index], strict=True):
                push(window, torch.cat((self.norm(x), condition), dim=1))
                x = layer.step(x, window)
        return self.output(self.norm(x))
