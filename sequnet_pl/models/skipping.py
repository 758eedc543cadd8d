"""A block of WaveNet layers whose backward keeps its input, and tanh and sigmoid of each layer (see gated.py).

Letters: B batch, T time in frames, C channels, K kernel.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from sequnet_pl.models.convolution import Convolution, channels_last, copy, empty, last, pad_front, pieces
from sequnet_pl.models.gated import activate, activation_gradient, compute_dtype, empty_activations


class _Layer:
    """The convolutions of a layer: the dilated one, to the skip, and to the residual stream where that goes on."""

    def __init__(self, x: Tensor, dilation: int, parameters: Sequence[Tensor]) -> None:
        weight, bias, skip_weight, skip_bias, *residual = parameters
        self.conv = Convolution(x, weight, bias, dilation=dilation)
        self.skip = Convolution(x, skip_weight, skip_bias)
        self.residual = Convolution(x, residual[0], residual[1]) if residual else None

    def forward(self, x: Tensor, total: Tensor) -> tuple[Tensor, Tensor]:
        """Adds to the total. The stream after the layer, or before it where it ends here, and the activations."""
        frames = self.conv.outputs(x)
        activated = empty_activations(x, self.conv.channels // 2, frames)
        for piece in pieces(x, frames):
            activate(self.conv(x[..., self.conv.window(piece)]), activated[..., piece])
            within, outputs = _seen(piece, frames, total)
            if outputs.stop > outputs.start:
                total[..., outputs] += self.skip(torch.mul(*activated[..., piece])[..., within])
        return self.stream(x, activated), activated

    def stream(self, x: Tensor, activated: Tensor) -> Tensor:
        """The residual stream after the layer, from that before it."""
        if self.residual is None:
            return x
        identity = last(x, activated.shape[-1])
        out = empty(x, *identity.shape[1:])
        for piece in pieces(x, identity.shape[-1]):
            out[..., piece] = self.residual(torch.mul(*activated[..., piece])).add_(identity[..., piece])
        return out

    def backward(self, by_x: Tensor, by_total: Tensor, x: Tensor, activated: Tensor) -> list[Tensor]:
        """Adds to the gradient of the stream, which is in place: what a piece adds to has been read. Of parameters."""
        by_stream = last(by_x, activated.shape[-1])
        for piece in pieces(x, activated.shape[-1]):
            z = torch.mul(*activated[..., piece])
            by_z = self.residual.backward_1x1(by_stream[..., piece], z) if self.residual else torch.zeros_like(z)
            within, outputs = _seen(piece, activated.shape[-1], by_total)
            if outputs.stop > outputs.start:
                by_z[..., within] += self.skip.backward_1x1(by_total[..., outputs], z[..., within])
            inner, window = activation_gradient(by_z, activated[..., piece]), self.conv.window(piece)
            self.conv.backward(inner, x[..., window], by_x[..., window])
        convolutions = [self.conv, self.skip, *([self.residual] if self.residual else [])]
        return [gradient for convolution in convolutions for gradient in convolution.gradients()]


def _seen(piece: slice, frames: int, total: Tensor) -> tuple[slice, slice]:
    """Which frames of a piece are outputs, and which: the outputs are the last of the frames."""
    early = frames - total.shape[-1]
    start = max(piece.start, early)
    return slice(start - piece.start, None), slice(start - early, piece.stop - early)


def _layers(x: Tensor, dilations: list[int], parameters: Sequence[Tensor]) -> list[_Layer]:
    """Layers of six parameters each; the last of a network has four."""
    return [_Layer(x, dilation, parameters[6 * n : 6 * n + 6]) for n, dilation in enumerate(dilations)]


class _Block(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, total: Tensor, dilations: list[int], *parameters: Tensor) -> tuple[Tensor, ...]:
        saved, total = [*parameters, x], copy(total)
        for layer in _layers(x, dilations, parameters):
            x, activated = layer.forward(x, total)
            saved.append(activated)
        ctx.dilations = dilations
        ctx.save_for_backward(*saved)
        return total, x

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, by_total: Tensor, by_stream: Tensor
    ) -> tuple[Tensor | None, ...]:
        saved, count = ctx.saved_tensors, len(ctx.dilations)
        *parameters, x = saved[:-count]
        activations = saved[-count:]
        layers = _layers(x, ctx.dilations, parameters)
        inputs = [x]
        for layer, activated in zip(layers[:-1], activations[:-1], strict=True):  # cheap, to keep them is not
            inputs.append(layer.stream(inputs[-1], activated))
        by_x = pad_front(by_stream, x.shape[-1] - by_stream.shape[-1])
        by_outputs = channels_last(by_total)
        by_parameters: Sequence[Tensor] = []
        for layer, activated in zip(reversed(layers), reversed(activations), strict=True):
            x = inputs.pop()
            by_layer = layer.backward(last(by_x, x.shape[-1]), by_outputs, x, activated)
            by_parameters = [*by_layer, *by_parameters]
        return by_x, by_total, None, *by_parameters


def skipping_block(
    x: Tensor, total: Tensor, dilations: list[int], parameters: Sequence[Tensor]
) -> tuple[Tensor, Tensor]:
    """The residual stream (B, C, T'), shorter by (K - 1) times the sum of dilations, and the skips so far (B, C', N)
    with those of these layers.

    Parameters are weight and bias of the dilated convolution, of the skip and of the residual convolution of each
    layer; without the last pair, in the last layer, the stream ends, and what enters that layer is returned.
    """
    dtype = compute_dtype(x)
    with torch.autocast(x.device.type, enabled=False):
        total, x = _Block.apply(x.to(dtype), total.to(dtype), dilations, *parameters)
    return x, total
