"""The Seq-U-Net, a causal 1D U-Net whose deep levels run at lower rates (Stoller et al. 2020, sections 3 and 4).

Letters: B batch, T time, C channels, K kernel, Q = 256 classes. Level l has a frame at every 2^l-th sample, counted so
that the last input of a window is at time 0.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sequnet_pl.audio.mulaw import CLASSES, SILENCE
from sequnet_pl.errors import UsageError
from sequnet_pl.models.frames import last, pad, width
from sequnet_pl.models.layers import CodeConv, GatedConv, RMSNorm, push
from sequnet_pl.models.levels import Level, gated_convs, layers_by_level, receptive_field, window_inputs
from sequnet_pl.models.network import Network, State, Window, check_sizes
from sequnet_pl.models.precision import float32_products
from sequnet_pl.models.state_space import Block, tiled

# Levels with state-space blocks, whose frames come every 4, 8 and 16 samples. Those of finer levels take more time than
# they are worth. At coarser levels what endless silence leaves in a block grows without a limit in training.
_FIRST_MEMORY, _LAST_MEMORY = 2, 4


@dataclass
class SeqUNetState(State):
    """The last frames that each layer has read; every list is by level, the inner ones by layer in order of flow."""

    codes: Tensor  # (B, K)
    down: list[list[Tensor]]  # (B, C, K) each: the convolutions, then the strided one
    bottleneck: list[Tensor]  # (B, C, K)
    upsample: list[Tensor]  # (B, C, K // 2 + 1) frames of the level below
    odd: list[Tensor]  # (B, C), the fine frame that is known one step early
    up: list[list[Tensor]]  # (B, 2C, K): [skip, condition]
    memories: list[Tensor] = field(default_factory=list)  # (B, C, N, 2) of each state-space layer


class SeqUNet(Network):
    """Seq-U-Net, residual variant.

    Args:
        levels: Levels, the bottleneck included; the deepest has a frame every 2^(levels - 1) samples.
        features: Channels of every level.
        depth: Gated layers of a level in each direction. In a list, the last number is for all further levels.
        kernel_size: Taps of every convolution; odd, 3 or more.
        norm: RMS-normalise the frames that convolutions and the output read.
        head: Channels of a hidden layer before the output; 0, as published, for none.
        state: States per channel of the state-space blocks after the layers of the third to fifth level, which have a
            frame every 4, 8 and 16 samples; even. Their receptive field is unbounded. 0, as published, for none.
        score_context: With state-space blocks: samples that are read before those that are scored.

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
        state: int = 0,
        score_context: int = 1024,
    ) -> None:
        super().__init__()
        check_sizes(1, levels=levels, features=features)
        check_sizes(0, head=head, score_context=score_context)
        if state < 0 or state % 2:
            raise UsageError(f"state is {state}, but must be even and 0 or more")
        if state and levels <= _FIRST_MEMORY:
            raise UsageError(f"levels is {levels}, but must be {_FIRST_MEMORY + 1} or more with state {state}")
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
        self.receptive_field = None if state else receptive_field(self.depths, kernel_size)
        self.score_context = score_context if state else 0
        count = min(levels - 1, _LAST_MEMORY) - _FIRST_MEMORY + 1 if state else 0
        memories = nn.ModuleList(Block(features, state, lambda _: self.norm, 2.0**level) for level in range(count))
        self.memories = cast(Sequence[Block], memories)

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
        found = {2: [layer.weight for layer in convolutions if layer not in self.ends], 1: list[Tensor]()}
        for block in self.memories:
            for count, weights in block.matrices().items():
                found[count] += weights
        return {count: weights for count, weights in found.items() if weights}

    @property
    def ends(self) -> list[nn.Conv1d]:
        """The convolutions from the finest level to the logits; each reads what a ReLU leaves."""
        return [layer for layer in (self.hidden_conv, self.output_conv) if layer is not None]

    def memory(self, level: int) -> Block | None:
        """Return the state-space block of a level, if it has one; the bottleneck is the last level."""
        number = level - _FIRST_MEMORY
        return self.memories[number] if 0 <= number < len(self.memories) else None

    def window(self, outputs: int) -> Window:
        """See Network. With state-space blocks all codes of a window have outputs, and silence precedes it."""
        if outputs < 1:
            raise ValueError(f"a window has at least 1 output, not {outputs}")
        outputs = -(-outputs // self.cycle) * self.cycle
        if self.memories:
            return Window(outputs, outputs)
        return Window(window_inputs(self.depths, self.kernel_size, outputs), outputs)

    def forward(self, codes: Tensor, labels: Tensor | None = None) -> Tensor:
        """See Network."""
        if self.memories:
            if codes.shape[-1] < 1 or codes.shape[-1] % self.cycle:
                raise ValueError(f"{codes.shape[-1]} codes are no window: it has a multiple of {self.cycle}")
            return self.output(self.norm(self._frames(codes, labels))).transpose(1, 2)
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
        """See Network."""
        codes = F.pad(codes, (-codes.shape[1] % self.cycle, 0), value=SILENCE)
        newest = F.pad(codes, (self.kernel_size, 0), value=SILENCE)[:, -self.kernel_size :]
        state = self._empty_state(newest.clone(), labels)
        x = self._frames(codes, labels, _Reader(state, self.kernel_size))
        return self.output(self.norm(x[:, -1])), state

    def _empty_state(self, codes: Tensor, labels: Tensor | None, time: int = 0) -> SeqUNetState:
        down, up = ([[] for _ in self.levels] for _ in range(2))
        return SeqUNetState(time, codes, down, [], [], [], up, labels=labels)

    @float32_products(tf32=False)
    @torch.no_grad()
    def silence(self, batch: int, time: int = 0, labels: Tensor | None = None) -> State:
        """See Network. All frames of a level are equal on the way down, and periodic on the way up."""
        state = self._empty_state(self._silent_codes(batch, self.kernel_size), labels, time)
        codes = self._silent_codes(1 if labels is None else batch, self.cycle)
        self._frames(codes, labels, _Reader(state, self.kernel_size, batch))
        return state

    def _frames(self, codes: Tensor, labels: Tensor | None, reader: "_Reader | None" = None) -> Tensor:
        """Return the finest frames (B, T, C) of whole cycles of codes (B, T) after endless silence.

        The reader gets what each layer has read.
        """
        before = self._silent_codes(len(codes), self.kernel_size - 1).to(codes.dtype)
        silence = self._silent_codes(1 if labels is None else len(codes), self.kernel_size)
        x = _Frames(
            self.input_conv(torch.cat((before, codes), dim=1), labels=labels), self.input_conv(silence, labels=labels)
        )
        skips: list[_Frames] = []
        for index, level in enumerate(self.levels):
            x, skip = self._run(self._descend, level, index, x, reader)
            skips.append(skip)
        for layer in self.bottleneck:
            if reader:
                reader.state.bottleneck.append(reader.window(x.map(self.norm), len(self.levels)))
            x = self._convolve(layer, x)
        x = self._remember(len(self.levels), x, reader)
        for index, level in reversed(list(enumerate(self.levels))):
            x = self._run(self._ascend, level, index, x, skips.pop(), reader)
        return x.frames

    def _descend(self, level: Level, index: int, x: "_Frames", reader: "_Reader | None") -> tuple["_Frames", "_Frames"]:
        """Return the frames of the level below, and the skip."""
        for layer in level.down:
            if reader:
                reader.state.down[index].append(reader.window(x.map(self.norm), index))
            x = self._convolve(layer, x)
        if reader:
            reader.state.down[index].append(reader.window(x.map(self.norm), index))
        return self._convolve(level.strided, x), x

    def _ascend(self, level: Level, index: int, x: "_Frames", skip: "_Frames", reader: "_Reader | None") -> "_Frames":
        wider = x.after_silence(self.kernel_size // 2)
        fine, odd = level.upsample(wider.frames, self.norm(wider.frames))
        silent, silent_odd = level.upsample(wider.silent, self.norm(wider.silent))
        condition = _Frames(fine, silent).map(self.norm)
        if reader:
            reader.state.upsample.insert(0, reader.window(x.map(self.norm), index + 1, self.kernel_size // 2 + 1))
            newest = _Frames(last(odd, x.frames.shape[1]), last(silent_odd, x.silent.shape[1]))
            reader.state.odd.insert(0, reader.window(newest, index + 1, 1).squeeze(-1))
        x = _Frames(skip.frames, tiled(skip.silent, condition.silent.shape[1]))
        for layer in level.up:
            if reader:
                read = reader.window(x.map(self.norm), index), reader.window(condition, index)
                reader.state.up[index].append(torch.cat(read, dim=1))
            x = self._convolve(layer, x, condition)
        return self._remember(index, x, reader)

    def _convolve(self, layer: GatedConv, x: "_Frames", condition: "_Frames | None" = None) -> "_Frames":
        """Apply a layer to frames after silence."""
        count = self.kernel_size - 1
        wider = x.after_silence(count)
        conditions = condition.after_silence(count) if condition else (None, None)
        return _Frames(*(layer(each, self.norm(each), given) for each, given in zip(wider, conditions, strict=True)))

    def _remember(self, index: int, x: "_Frames", reader: "_Reader | None") -> "_Frames":
        """Apply the state-space block of a level, if it has one."""
        block = self.memory(index)
        if block is None:
            return x
        if reader:
            reader.state.memories.insert(0, reader.memory(block, x, index))
        return _Frames(*block(*x))

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
            x = self._remember_frame(len(self.levels), x, state)
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
            x = self._remember_frame(index, x, state)
        return self.output(self.norm(x))

    def _remember_frame(self, index: int, x: Tensor, state: SeqUNetState) -> Tensor:
        """Apply the state-space block of a level to its newest frame (B, C)."""
        block = self.memory(index)
        return x if block is None else block.step(x, state.memories[index - _FIRST_MEMORY])


class _Frames(NamedTuple):
    """Frames of a level, whole cycles of them, and one period of those that endless silence before them gives."""

    frames: Tensor  # (B, T, C)
    silent: Tensor  # (B or 1, P, C)

    def map(self, function: Callable[[Tensor], Tensor]) -> "_Frames":
        return _Frames(function(self.frames), function(self.silent))

    def after_silence(self, count: int) -> "_Frames":
        """Return both with the `count` frames before them."""
        before = last(tiled(self.silent, count), count)
        return _Frames(
            torch.cat((before.expand(len(self.frames), -1, -1), self.frames), dim=1),
            torch.cat((before, self.silent), dim=1),
        )


class _Reader:
    """Puts what layers have read at the end of a pass into a state; in silence, at the state's time.

    Args:
        state: The state.
        kernel_size: Frames of a window.
        silent: Clips of a state in silence; 0 for that after the frames.
    """

    def __init__(self, state: SeqUNetState, kernel_size: int, silent: int = 0) -> None:
        self.state, self._kernel_size, self._silent = state, kernel_size, silent

    def window(self, x: _Frames, level: int, count: int | None = None) -> Tensor:
        """Return the last `count` frames as (B, C, count), by default those of a whole window."""
        count = count or self._kernel_size
        if self._silent:
            rolled = x.silent.roll(-(self.state.time // 2**level), dims=1)
            frames = last(tiled(rolled, count), count).expand(self._silent, -1, -1)
        else:
            frames = last(x.after_silence(count).frames, count)
        return frames.transpose(1, 2).clone(memory_format=torch.contiguous_format)

    def memory(self, block: Block, x: _Frames, level: int) -> Tensor:
        """Return the state of a state-space block that reads these frames."""
        frames, silent = x.map(block.norm_1)
        if not self._silent:
            return block.memory.state_after(frames, silent)
        ahead = self.state.time // 2**level % silent.shape[1]
        return block.memory.silent_state(silent, ahead).expand(self._silent, -1, -1, -1).clone()
