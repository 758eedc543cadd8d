"""The Seq-U-Net: a causal one-dimensional U-Net whose deep levels tick slowly (Stoller et al. 2020, sections 3 and 4).

Letters: B batch, T time, C channels, K kernel, Q = 256 classes. Level l has a frame at every 2^l-th sample, counted so
that the last input of a window is at time 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from sequnet_pl.audio.mulaw import CLASSES
from sequnet_pl.errors import UsageError
from sequnet_pl.models.layers import CodeConv, GatedConv, push
from sequnet_pl.models.levels import Level, gated_convs
from sequnet_pl.models.network import Network, State, Window


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
        levels: Number of levels, the bottleneck included; `cycle` is 2^(levels - 1).
        features: Channels of every level.
        depth: Gated layers a level, each way.
        kernel_size: Taps of every convolution; odd, 3 or more.
    """

    def __init__(self, levels: int = 11, features: int = 180, depth: int = 2, kernel_size: int = 5) -> None:
        super().__init__()
        for name, value in (("levels", levels), ("features", features), ("depth", depth)):
            if value < 1:
                raise UsageError(f"{name} is {value}, but must be 1 or more")
        if kernel_size < 3 or kernel_size % 2 == 0:
            raise UsageError(f"kernel_size is {kernel_size}, but must be odd and 3 or more")
        self.kernel_size, self.depth = kernel_size, depth
        self.cycle = 2 ** (levels - 1)
        self.input_conv = CodeConv(features, kernel_size)
        blocks = nn.ModuleList(Level(features, depth, kernel_size) for _ in range(levels - 1))
        self.levels = cast(Sequence[Level], blocks)
        self.bottleneck = gated_convs(depth, features, kernel_size)
        self.output_conv = nn.Conv1d(features, CLASSES, 1)
        self.receptive_field = self._receptive_field()

    def window(self, outputs: int) -> Window:
        """See Network; sizes grow from the output to the input."""
        if outputs < 1:
            raise ValueError(f"a window has at least 1 output, not {outputs}")
        outputs = -(-outputs // self.cycle) * self.cycle
        reach = self.kernel_size - 1  # frames that a convolution drops
        size = outputs
        for _ in self.levels:
            size = -(-(size + self.depth * reach + reach) // 2)
        size += self.depth * reach
        for _ in self.levels:
            size = 2 * (size - 1) + 1 + reach + self.depth * reach
        return Window(size + reach, outputs)

    def forward(self, codes: Tensor) -> Tensor:
        """See Network."""
        overlap = self.window(1).inputs - self.cycle
        outputs = codes.shape[-1] - overlap
        if outputs < 1 or outputs % self.cycle:
            raise ValueError(f"{codes.shape[-1]} codes are no window: {overlap} and a multiple of {self.cycle} are one")
        return self._output(self._features(codes)[..., -outputs:])

    def _output(self, x: Tensor) -> Tensor:
        return self.output_conv(torch.relu(x))

    def _features(self, codes: Tensor) -> Tensor:
        """Codes (B, T) to the features (B, C, N) before the output convolution; keeps little for the backward pass."""
        sizes, skips = self._skip_sizes(codes.shape[-1]), []
        if self.levels:
            skip, x = self.levels[0].enter(codes, sizes[0], self.input_conv, self._run)
            skips.append(skip)
        else:
            x = self.input_conv(codes)
        for level, kept in zip(self.levels[1:], sizes[1:], strict=True):
            skip, x = self._run(level.descend, x, kept)
            skips.append(skip)
        for layer in self.bottleneck:
            x = layer(x)
        for level in reversed(self.levels):
            x = self._run(level.ascend, x, skips.pop())
        return x

    def _skip_sizes(self, inputs: int) -> list[int]:
        """Frames of each level's skip that the way up reads."""
        reach = self.kernel_size - 1
        size = inputs - reach
        for _ in self.levels:
            size = (size - self.depth * reach - self.kernel_size) // 2 + 1
        sizes: list[int] = []
        for _ in self.levels:
            size = 2 * (size - self.depth * reach) - reach
            sizes.insert(0, size)
        return sizes

    def _record(self, codes: Tensor, record: SeqUNetState) -> Tensor:
        """The same layer by layer, without gradients; `record` gets what layers read last."""

        def last(x: Tensor, frames: int = self.kernel_size) -> Tensor:
            return x[..., -frames:].clone(memory_format=torch.contiguous_format)  # the rest of x need not stay

        x = self.input_conv(codes)  # (B, C, T)
        skips: list[Tensor] = []
        for index, (level, kept) in enumerate(zip(self.levels, self._skip_sizes(codes.shape[-1]), strict=True)):
            for layer in level.down:
                record.down[index].append(last(x))
                x = layer(x)
            record.down[index].append(last(x))
            skips.append(last(x, kept))
            x = level.strided(x)
        for layer in self.bottleneck:
            record.bottleneck.append(last(x))
            x = layer(x)
        for index, level in reversed(list(enumerate(self.levels))):
            condition, odd = level.upsample(x)
            record.upsample.insert(0, last(x, self.kernel_size // 2 + 1))
            record.odd.insert(0, odd[..., -1].clone())
            x = skips.pop()
            for layer in level.up:
                record.up[index].append(torch.cat((last(x), last(condition)), dim=1))
                x = layer(x, condition)
        return x

    def _absorb(self, codes: Tensor) -> tuple[Tensor, State]:
        state = self._empty_state(codes[:, -self.kernel_size :].clone())
        x = self._record(codes, state)
        return self._output(x[..., -1:]).squeeze(-1), state

    def _empty_state(self, codes: Tensor) -> SeqUNetState:
        return SeqUNetState(0, codes, [[] for _ in self.levels], [], [], [], [[] for _ in self.levels])

    @torch.no_grad()
    def silence(self, batch: int, time: int = 0) -> State:
        """See Network. On the way down all frames are the same; on the way up those of one period tell all."""
        kernel_size = self.kernel_size
        codes = self._silent_codes(batch, kernel_size)
        state = self._empty_state(codes)
        state.time = time

        def around(x: Tensor, last: int, frames: int) -> Tensor:
            """Frames up to the `last` of a period (1, C, P) that repeats for ever; its own last frame is number 0."""
            numbers = torch.arange(last - frames, last, device=x.device) % x.shape[-1]
            return x[..., numbers]

        def keep(x: Tensor, level: int, frames: int = kernel_size) -> Tensor:
            return around(x, time // 2**level, frames).repeat(batch, 1, 1)

        def go_on(layer: GatedConv, x: Tensor, condition: Tensor | None = None) -> Tensor:
            wider = [None if y is None else around(y, 0, y.shape[-1] + kernel_size - 1) for y in (x, condition)]
            return layer(*wider)

        x = self.input_conv(codes[:1])
        skips: list[Tensor] = []
        for index, level in enumerate(self.levels):
            for layer in level.down:
                state.down[index].append(keep(x, index))
                x = go_on(layer, x)
            state.down[index].append(keep(x, index))
            skips.append(x)
            x = go_on(level.strided, x)
        for layer in self.bottleneck:
            state.bottleneck.append(keep(x, len(self.levels)))
            x = go_on(layer, x)
        for index, level in reversed(list(enumerate(self.levels))):
            period = x.shape[-1]
            state.upsample.insert(0, keep(x, index + 1, kernel_size // 2 + 1))
            condition, odd = level.upsample(around(x, 0, period + kernel_size // 2))
            state.odd.insert(0, keep(odd[..., -period:], index + 1, 1).squeeze(-1))
            x = skips[index].expand(-1, -1, 2 * period)
            for layer in level.up:
                state.up[index].append(torch.cat((keep(x, index), keep(condition, index)), dim=1))
                x = go_on(layer, x, condition)
        return state

    @torch.no_grad()
    def step(self, code: Tensor, state: State) -> Tensor:
        """See Network. Level l is updated where the time is a multiple of 2^l; coarser values are held."""
        assert isinstance(state, SeqUNetState)
        state.time += 1
        push(state.codes.unsqueeze(1), code.to(state.codes.dtype).unsqueeze(1))
        x = self.input_conv(state.codes).squeeze(-1)  # (B, C)
        skips: list[Tensor] = []
        for index, level in enumerate(self.levels):
            *windows, strided = state.down[index]
            for layer, window in zip(level.down, windows, strict=True):
                push(window, x)
                x = layer.step(x, window)
            skips.append(x)
            push(strided, x)
            if state.time % 2 ** (index + 1):
                break
            x = level.strided.step(x, strided)
        else:
            for layer, window in zip(self.bottleneck, state.bottleneck, strict=True):
                push(window, x)
                x = layer.step(x, window)
        for index, skip in reversed(list(enumerate(skips))):
            level = self.levels[index]
            if state.time % 2 ** (index + 1):
                condition = state.odd[index]
            else:
                push(state.upsample[index], x)
                condition, odd = level.upsample.step(x, state.upsample[index])
                state.odd[index].copy_(odd)
            x = skip
            for layer, window in zip(level.up, state.up[index], strict=True):
                push(window, torch.cat((x, condition), dim=1))
                x = layer.step(x, window)
        return self._output(x.unsqueeze(-1)).squeeze(-1)

    def _receptive_field(self) -> int:
        """How far the outputs of a cycle look back at the most: the reach of each level, by phase, up to the output."""
        taps = np.arange(self.kernel_size)
        reach = self.kernel_size - 1  # samples back from a frame to the first code that it sees
        for level in range(len(self.levels)):
            reach += (self.depth + 1) * taps[-1] * 2**level
        bottom = 2 ** len(self.levels)
        lags = np.array([reach + self.depth * taps[-1] * bottom])  # by phase of the frame in the cycle

        def back(lags: np.ndarray, taps: np.ndarray, spacing: int) -> np.ndarray:
            return np.max([np.roll(lags, tap) + tap * spacing for tap in taps], axis=0)

        for level in reversed(range(len(self.levels))):
            coarse = 2 ** (level + 1)
            even = back(lags, taps[: self.kernel_size // 2 + 1], coarse)
            odd = back(lags, taps[: self.kernel_size // 2], coarse) + 2**level
            lags = np.stack((even, odd), axis=-1).reshape(-1)
            for _ in range(self.depth):
                lags = back(lags, taps, 2**level)
        return int(lags.max()) + 1
