"""The WaveNet that the Seq-U-Net is compared with: blocks of dilated, gated, residual convolutions.

Letters: B batch, T time, C channels, K kernel, Q = 256 classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sequnet_pl.audio.mulaw import CLASSES
from sequnet_pl.models.frames import convolve_by_products, last, pad, width
from sequnet_pl.models.layers import CodeConv, apply_window, bias_of, gate, gated_convolution
from sequnet_pl.models.network import Network, State, Window, check_sizes
from sequnet_pl.models.precision import float32_products


@dataclass
class WaveNetState(State):
    """Inputs of each layer: a ring (B, C, (K - 1) * dilation); the frame of time t is in slot t mod length."""

    rings: list[Tensor]


class Layer(nn.Module):
    """One gated layer: a dilated convolution (filter and gate as one), then 1x1 convolutions to skip and residual."""

    def __init__(self, residual: int, dilation_channels: int, skip: int, kernel_size: int, dilation: int, last: bool):
        super().__init__()
        self.conv = nn.Conv1d(residual, 2 * dilation_channels, kernel_size, dilation=dilation)
        self.skip = nn.Conv1d(dilation_channels, skip, 1)
        # the last layer's residual output would not be used
        self.residual = None if last else nn.Conv1d(dilation_channels, residual, 1)
        self.channels, self.dilation, self.ring_length = dilation_channels, dilation, (kernel_size - 1) * dilation

    def forward(self, x: Tensor, stream: int, gated: int) -> tuple[Tensor, Tensor]:
        """Frames (B, T, C) to the residual stream and the gated frames, both shorter by the ring's length.

        Stream and gated frames are padded with zero channels: see `frames.width`.
        """
        weight = pad(pad(self.conv.weight, 0, self.channels, gated), 1, self.conv.in_channels, stream)
        bias = pad(bias_of(self.conv), 0, self.channels, gated)
        if x.is_cuda:
            z = gate(convolve_by_products(x, weight, bias, self.dilation))
        else:
            z = gated_convolution(x, weight, bias, dilation=self.dilation)
        if self.residual is None:
            return x, z
        weight = pad(pad(self.residual.weight.squeeze(-1), 0, self.conv.in_channels, stream), 1, self.channels, gated)
        bias = pad(bias_of(self.residual), 0, self.conv.in_channels, stream)
        return last(x, z.shape[1]) + F.linear(z, weight, bias), z

    def step(self, x: Tensor, ring: Tensor, time: int) -> tuple[Tensor, Tensor]:
        """Stream and skip for the frame x (B, C) of `time`: reads the ring, then writes x over its oldest frame."""
        slots = [(time - back) % self.ring_length for back in range(self.ring_length, 0, -self.dilation)]
        inputs = torch.stack((*(ring[..., slot] for slot in slots), x), dim=-1)  # (B, C, K)
        ring[..., slots[0]] = x
        z = gate(apply_window(self.conv.weight, self.conv.bias, inputs))
        skip = F.linear(z, self.skip.weight.squeeze(-1), self.skip.bias)
        if self.residual is None:
            return x, skip
        return x + F.linear(z, self.residual.weight.squeeze(-1), self.residual.bias), skip


class WaveNet(Network):
    """WaveNet as the published baseline has it, without its last residual convolution, which feeds nothing.

    Args:
        layers: Layers per block, with dilations 1, 2, 4 .. 2^(layers - 1).
        blocks: Number of blocks.
        dilation_channels: Channels of the gated path.
        residual_channels: Channels of the residual stream.
        skip_channels: Channels of the skip path.
        kernel_size: Taps of the dilated convolutions; 2 or more.
    """

    cycle = 1

    def __init__(
        self,
        layers: int = 13,
        blocks: int = 4,
        dilation_channels: int = 128,
        residual_channels: int = 128,
        skip_channels: int = 512,
        kernel_size: int = 2,
    ) -> None:
        super().__init__()
        check_sizes(1, layers=layers, blocks=blocks, dilation_channels=dilation_channels)
        check_sizes(1, residual_channels=residual_channels, skip_channels=skip_channels)
        check_sizes(2, kernel_size=kernel_size)
        self.layers_a_block = layers
        self.start = CodeConv(residual_channels)
        shape = residual_channels, dilation_channels, skip_channels, kernel_size
        stack = nn.ModuleList(
            Layer(*shape, dilation=2 ** (index % layers), last=index == blocks * layers - 1)
            for index in range(blocks * layers)
        )
        self.layers = cast(Sequence[Layer], stack)
        self.end_1 = nn.Conv1d(skip_channels, skip_channels, 1)
        self.end_2 = nn.Conv1d(skip_channels, CLASSES, 1)
        self.overlap = blocks * (kernel_size - 1) * (2**layers - 1)  # codes that a window has more than outputs
        self.receptive_field = 1 + self.overlap

    @property
    def input_layer(self) -> CodeConv:
        """See Network."""
        return self.start

    def pattern(self, time: int) -> int:
        """See Network: frames are in slots of rings, whose lengths divide that of the longest."""
        return time % max(layer.ring_length for layer in self.layers)

    def matrices(self) -> dict[int, list[Tensor]]:
        """See Network: filters and gates, and 1x1 convolutions."""
        gated = [layer.conv for layer in self.layers]
        single = [layer for layer in self.modules() if isinstance(layer, nn.Conv1d) and layer not in gated]
        return {2: [layer.weight for layer in gated], 1: [layer.weight for layer in single if layer is not self.end_2]}

    def window(self, outputs: int) -> Window:
        """See Network."""
        if outputs < 1:
            raise ValueError(f"a window has at least 1 output, not {outputs}")
        return Window(outputs + self.overlap, outputs)

    def forward(self, codes: Tensor, labels: Tensor | None = None) -> Tensor:
        """See Network."""
        outputs = codes.shape[-1] - self.overlap
        if outputs < 1:
            raise ValueError(f"{codes.shape[-1]} codes are no window: it takes {self.receptive_field} or more")
        x = self.start(codes, width(self.start.bias.numel(), codes.device), labels)  # (B, T, C)
        gated: list[Tensor] = []
        for start in range(0, len(self.layers), self.layers_a_block):
            x, *found = self._run(self._block, x, start, outputs)
            gated += found
        return self.end(self._skips(gated)).transpose(1, 2)

    def _block(self, x: Tensor, start: int, outputs: int) -> tuple[Tensor, ...]:
        """The layers of a block, the first of which is number `start`: the stream, and the gated outputs of each."""
        gated: list[Tensor] = []
        channels = width(self.layers[0].channels, x.device)
        for layer in self.layers[start : start + self.layers_a_block]:
            x, z = layer(x, x.shape[-1], channels)
            gated.append(last(z, outputs))
        return x, *gated

    def _skips(self, gated: list[Tensor]) -> Tensor:
        """The skips of all layers, from their gated frames (..., C): one product instead of one a layer."""
        weights = [pad(layer.skip.weight.squeeze(-1), 1, layer.channels, gated[0].shape[-1]) for layer in self.layers]
        bias = torch.stack([bias_of(layer.skip) for layer in self.layers]).sum(0)
        return F.linear(torch.cat(gated, dim=-1), torch.cat(weights, dim=1), bias)

    def end(self, skips: Tensor) -> Tensor:
        """Sums of skips (..., C) to logits (..., Q)."""
        for conv in (self.end_1, self.end_2):
            skips = F.linear(torch.relu(skips), conv.weight.squeeze(-1), conv.bias)
        return skips

    def read_window(self, codes: Tensor, labels: Tensor | None = None) -> tuple[Tensor, State]:
        """See Network: `forward`, which notes what each layer has read last."""
        x, gated = self.start(codes, labels=labels), []
        state = WaveNetState(0, [], labels=labels)
        for layer in self.layers:  # the last frame, of time 0, belongs in slot 0
            state.rings.append(last(x, layer.ring_length).transpose(1, 2).roll(1, dims=-1))
            x, z = layer(x, x.shape[-1], layer.channels)
            gated.append(z[:, -1])
        return self.end(self._skips(gated)), state

    @float32_products(tf32=False)
    @torch.no_grad()
    def silence(self, batch: int, time: int = 0, labels: Tensor | None = None) -> State:
        """See Network. All frames of a layer are the same."""
        x = self.start(self._silent_codes(batch, 1), labels=labels).squeeze(1)
        state = WaveNetState(time, [], labels=labels)
        for layer in self.layers:
            ring = x.unsqueeze(-1).repeat(1, 1, layer.ring_length)
            state.rings.append(ring)
            x, _ = layer.step(x, ring, time)
        return state

    @float32_products(tf32=False)
    @torch.no_grad()
    def step(self, code: Tensor, state: State) -> Tensor:
        """See Network."""
        assert isinstance(state, WaveNetState)
        state.time += 1
        x = self.start(code.unsqueeze(1), labels=state.labels).squeeze(1)  # (B, C)
        skips: list[Tensor] = []
        for layer, ring in zip(self.layers, state.rings, strict=True):
            x, skip = layer.step(x, ring, state.time)
            skips.append(skip)
        return self.end(torch.stack(skips).sum(0))
