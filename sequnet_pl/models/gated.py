"""Gated convolutions whose backward keeps little: the input, tanh and sigmoid, written over the convolution's output.

Autograd on its own would keep five tensors a layer, copies of crops and conditions, and a low-precision copy of each
weight. What is not kept is computed again, from what is kept anyway.

Letters: B batch, T time in frames, C channels, K kernel.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from sequnet_pl.models import arena
from sequnet_pl.models.convolution import Convolution, copy, empty, join, last, pad_front, pieces


def compute_dtype(x: Tensor) -> torch.dtype:
    """The type to compute in: that of autocast where it is on, else that of `x`."""
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype


def empty_activations(like: Tensor, channels: int, frames: int) -> Tensor:
    """Room for activations (2, B, C, T), channels last."""
    return arena.empty(like, 2, len(like), frames, channels).transpose(2, 3)


def activate(both: Tensor, activated: Tensor) -> None:
    """Write tanh of the first channels of (B, 2C, T) (the filter) and sigmoid of the second half (the gate).

    Each half lies by itself in memory, where elementwise work is twice as fast as on every other run of channels.
    """
    activated.copy_(both.unflatten(1, (2, -1)).transpose(0, 1))
    activated[0].tanh_()
    activated[1].sigmoid_()


def activation_gradient(grad: Tensor, activated: Tensor) -> Tensor:
    """Gradient (B, 2C, T) of the convolution's output, from that of the product and from what `activate` gave."""
    filtered, gated = activated
    result = empty(grad, 2 * grad.shape[1], grad.shape[2])
    by_filter, by_gate = result.chunk(2, 1)
    torch.ops.aten.tanh_backward(grad * gated, filtered, grad_input=by_filter)
    torch.ops.aten.sigmoid_backward(grad * filtered, gated, grad_input=by_gate)
    return result


def _forward(conv: Convolution, inputs: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """Output of a gated residual convolution, and what `activate` gave; the inputs are x and its condition."""
    frames, identity = conv.outputs(x), _identity(x, conv)
    out, activated = empty(x, x.shape[1], frames), empty_activations(x, x.shape[1], frames)
    for piece in pieces(x, frames):
        activate(conv(inputs[..., conv.window(piece)]), activated[..., piece])
        out[..., piece] = torch.addcmul(identity[..., piece], *activated[..., piece])
    return out, activated


def _identity(x: Tensor, conv: Convolution) -> Tensor:
    """The frames of x that the outputs are added to: the newest that each of them sees."""
    return x[..., conv.reach :: conv.stride]


def _backward(conv: Convolution, grad: Tensor, inputs: Tensor, activated: Tensor, by_inputs: Tensor) -> None:
    """Add to the gradient of the inputs what comes through the convolution.

    `grad` may be a part of `by_inputs`, as it is of the residual stream: what a piece adds to has been read.
    """
    for piece in pieces(grad, grad.shape[-1]):
        inner, window = activation_gradient(grad[..., piece], activated[..., piece]), conv.window(piece)
        conv.backward(inner, inputs[..., window], by_inputs[..., window])


def _beside(x: Tensor, condition: Tensor | None) -> Tensor:
    """What a conditioned convolution reads: x and the last frames of the condition, concatenated on channels."""
    return x if condition is None else join([x, last(condition, x.shape[-1])])


class _GatedConv(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, condition: Tensor | None, weight: Tensor, bias: Tensor) -> Tensor:
        out, activated = _forward(Convolution(x, weight, bias), _beside(x, condition), x)
        ctx.save_for_backward(x, condition, weight, activated)
        return out

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, grad: Tensor
    ) -> tuple[Tensor | None, ...]:
        x, condition, weight, activated = ctx.saved_tensors
        conv, channels, inputs = Convolution(x, weight), x.shape[1], _beside(x, condition)
        by_inputs = pad_front(grad, conv.reach, inputs.shape[1] - channels)
        _backward(conv, grad, inputs, activated, by_inputs)
        if condition is None:
            return by_inputs, None, *conv.gradients()
        by_condition = pad_front(by_inputs[:, channels:], condition.shape[-1] - x.shape[-1])
        return by_inputs[:, :channels], by_condition, *conv.gradients()


def gated_conv(x: Tensor, condition: Tensor | None, weight: Tensor, bias: Tensor) -> Tensor:
    """Gated residual convolution of x (B, C, T) to (B, C, T - K + 1): see layers.GatedConv."""
    dtype = compute_dtype(x)
    condition = None if condition is None else condition.to(dtype)
    with torch.autocast(x.device.type, enabled=False):
        return _GatedConv.apply(x.to(dtype), condition, weight, bias)


def _trim(x: Tensor, strided: Convolution) -> Tensor:
    """x without the first frames that no output sees: the last frame is always one that is kept."""
    return x[..., (x.shape[-1] - strided.taps) % strided.stride :]


class _Descent(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, kept: int, *parameters: Tensor) -> tuple[Tensor, Tensor]:
        weights, biases = parameters[::2], parameters[1::2]
        saved = [x]
        for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
            x, activated = _forward(Convolution(x, weight, bias), x, x)
            saved.append(activated)
        skip = copy(last(x, kept))
        strided = Convolution(x, weights[-1], biases[-1], 2)
        x = _trim(x, strided)
        out, activated = _forward(strided, x, x)
        ctx.save_for_backward(*saved, activated, *weights)
        return skip, out

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, by_skip: Tensor, grad: Tensor
    ) -> tuple[Tensor | None, ...]:
        x, *saved = ctx.saved_tensors
        depth = len(saved) // 2
        activations, weights = saved[:depth], saved[depth:]
        inputs = [x]
        for activated in activations[:-1]:  # the sums are cheap, to keep them is not
            identity = last(inputs[-1], activated.shape[-1])
            inputs.append(torch.addcmul(identity, *activated, out=empty(identity, *identity.shape[1:])))
        strided, trimmed = Convolution(x, weights[-1], stride=2), inputs.pop()
        by_x = pad_front(by_skip, x.shape[-1] - by_skip.shape[-1])  # of the residual stream, whatever the layer
        trimmed = _trim(trimmed, strided)
        by_trimmed = last(by_x, trimmed.shape[-1])
        _identity(by_trimmed, strided).add_(grad)
        _backward(strided, grad, trimmed, activations[-1], by_trimmed)
        by_parameters = [*strided.gradients()]
        for weight, activated in zip(reversed(weights[:-1]), reversed(activations[:-1]), strict=True):
            conv, inner = Convolution(x, weight), inputs.pop()
            _backward(conv, last(by_x, activated.shape[-1]), inner, activated, last(by_x, inner.shape[-1]))
            by_parameters = [*conv.gradients(), *by_parameters]
        return by_x, None, *by_parameters


def descend(x: Tensor, kept: int, parameters: list[Tensor]) -> tuple[Tensor, Tensor]:
    """The way down of one level: gated convolutions, of which the last has stride 2, and keeps the last frame.

    x (B, C, T) to the last `kept` frames before the last convolution, and its outputs. Parameters are weight and bias
    of each layer. Backward keeps the level's input and the activations; what lies between is their sum.
    """
    dtype = compute_dtype(x)
    with torch.autocast(x.device.type, enabled=False):
        return _Descent.apply(x.to(dtype), kept, *parameters)
