"""Gated convolutions whose backward keeps little: the input, tanh and sigmoid, written over the convolution's output.

Autograd on its own would keep five tensors a layer, copies of crops and conditions, and a low-precision copy of each
weight. What is not kept is computed again, from what is kept anyway.

Letters: B batch, T time in frames, C channels, K kernel, Q = 256 classes.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from sequnet_pl.models.convolution import convolution_gradient, convolve, join, pad_front

_CHUNK = 4096
"""Frames whose gradients stay in the cache while each tap's rows of a table get theirs."""


def compute_dtype(x: Tensor) -> torch.dtype:
    """The type to compute in: that of autocast where it is on, else that of `x`."""
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype


def activate(both: Tensor) -> Tensor:
    """(B, 2C, T) to (2, B, C, T): tanh of the first channels (the filter), sigmoid of the second half (the gate).

    Each half lies by itself in memory, where elementwise work is twice as fast as on every other run of channels.
    """
    halves = both.transpose(1, 2).unflatten(2, (2, -1)).permute(2, 0, 1, 3).contiguous()
    halves[0].tanh_()
    halves[1].sigmoid_()
    return halves.transpose(2, 3)


def activation_gradient(grad: Tensor, activated: Tensor) -> Tensor:
    """Gradient (B, 2C, T) of the convolution's output, from that of the product and from what `activate` gave."""
    filtered, gated = activated
    batch, channels, frames = filtered.shape
    result = grad.new_empty(batch, frames, 2 * channels).transpose(1, 2)
    by_filter, by_gate = result.chunk(2, 1)
    torch.ops.aten.tanh_backward(grad * gated, filtered, grad_input=by_filter)
    torch.ops.aten.sigmoid_backward(grad * filtered, gated, grad_input=by_gate)
    return result


def _forward(inputs: Tensor, x: Tensor, weight: Tensor, bias: Tensor, stride: int) -> tuple[Tensor, Tensor]:
    """Output of a gated residual convolution, and what `activate` gave."""
    activated = activate(convolve(inputs, weight, bias, stride))
    return _output(x, activated, weight, stride), activated


def _output(x: Tensor, activated: Tensor, weight: Tensor, stride: int) -> Tensor:
    return torch.addcmul(_identity(x, weight, stride), *activated)


def _identity(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """The frames of x that the outputs are added to: the newest that each of them sees."""
    return x[..., weight.shape[-1] - 1 :: stride]


def _backward(
    grad: Tensor, inputs: Tensor, activated: Tensor, weight: Tensor, stride: int, channels: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of the inputs (the first `channels` of them are the identity), the weight and the bias."""
    inner = activation_gradient(grad, activated)
    by_inputs, by_weight, by_bias = convolution_gradient(inner, inputs, weight, stride)
    _identity(by_inputs[:, :channels], weight, stride).add_(grad)
    return by_inputs, by_weight, by_bias


def _trim(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """x without the first frames that no output sees: the last frame is always one that is kept."""
    return x[..., (x.shape[-1] - weight.shape[-1]) % stride :]


def _beside(x: Tensor, condition: Tensor | None) -> Tensor:
    """What a conditioned convolution reads: x and the last frames of the condition, concatenated on channels."""
    return x if condition is None else join([x, condition[..., condition.shape[-1] - x.shape[-1] :]])


class _GatedConv(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, condition: Tensor | None, weight: Tensor, bias: Tensor) -> Tensor:
        out, activated = _forward(_beside(x, condition), x, weight, bias, 1)
        ctx.save_for_backward(x, condition, weight, activated)
        return out

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, grad: Tensor
    ) -> tuple[Tensor | None, ...]:
        x, condition, weight, activated = ctx.saved_tensors
        channels = x.shape[1]
        by_inputs, *by_rest = _backward(grad, _beside(x, condition), activated, weight, 1, channels)
        if condition is None:
            return by_inputs, None, *by_rest
        by_condition = pad_front(by_inputs[:, channels:], condition.shape[-1] - x.shape[-1])
        return by_inputs[:, :channels], by_condition, *by_rest


def gated_conv(x: Tensor, condition: Tensor | None, weight: Tensor, bias: Tensor) -> Tensor:
    """Gated residual convolution of x (B, C, T) to (B, C, T - K + 1): see layers.GatedConv."""
    dtype = compute_dtype(x)
    condition = None if condition is None else condition.to(dtype)
    with torch.autocast(x.device.type, enabled=False):
        return _GatedConv.apply(x.to(dtype), condition, weight, bias)


class _Descent(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, kept: int, *parameters: Tensor) -> tuple[Tensor, Tensor]:
        weights, biases = parameters[::2], parameters[1::2]
        kept_activated, first = [], x
        for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
            x, activated = _forward(x, x, weight, bias, 1)
            kept_activated.append(activated)
        skip = x[..., x.shape[-1] - kept :].clone()
        x = _trim(x, weights[-1], 2)
        out, activated = _forward(x, x, weights[-1], biases[-1], 2)
        ctx.save_for_backward(first, *weights, *kept_activated, activated)
        return skip, out

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, by_skip: Tensor, grad: Tensor
    ) -> tuple[Tensor | None, ...]:
        x, *saved = ctx.saved_tensors
        layers = list(zip(saved[: len(saved) // 2], saved[len(saved) // 2 :], strict=True))
        inputs = [x]
        for weight, activated in layers[:-1]:  # the sums are cheap, to keep them is not
            inputs.append(_output(inputs[-1], activated, weight, 1))
        by_parameters: list[Tensor] = []
        for number, (weight, activated) in reversed(list(enumerate(layers))):
            x = inputs.pop()
            stride = 2 if number == len(layers) - 1 else 1
            trimmed = _trim(x, weight, stride)
            grad, *by_layer = _backward(grad, trimmed, activated, weight, stride, x.shape[1])
            if stride == 2:
                grad = pad_front(grad, x.shape[-1] - trimmed.shape[-1])
                grad[..., grad.shape[-1] - by_skip.shape[-1] :] += by_skip
            by_parameters = [*by_layer, *by_parameters]
        return grad, None, *by_parameters


def descend(x: Tensor, kept: int, parameters: list[Tensor]) -> tuple[Tensor, Tensor]:
    """The way down of one level: gated convolutions, of which the last has stride 2, and keeps the last frame.

    x (B, C, T) to the last `kept` frames before the last convolution, and its outputs. Parameters are weight and bias
    of each layer. Backward keeps the level's input and the activations; what lies between is their sum.
    """
    dtype = compute_dtype(x)
    with torch.autocast(x.device.type, enabled=False):
        return _Descent.apply(x.to(dtype), kept, *parameters)


def _sums(codes: Tensor, table: Tensor, bias: Tensor, dtype: torch.dtype) -> Tensor:
    """Codes (B, T) to (B, T - K + 1, C): sums of K rows of the table (K, Q, C), one for each tap, and the bias."""
    taps, classes, channels = table.shape
    rows = codes.long().unfold(1, taps, 1) + classes * torch.arange(taps, device=codes.device)
    sums = F.embedding_bag(rows.flatten(0, 1), table.to(dtype).flatten(0, 1), mode="sum").add_(bias)
    return sums.view(*rows.shape[:2], channels)


def _sums_gradient(grad: Tensor, codes: Tensor, table: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of the table and the bias, in their type: in lower precision sums of so many would stand still."""
    frames, (taps, classes, channels) = grad.shape[1], table.shape
    by_bias = grad.sum((0, 1), dtype=table.dtype)
    if grad.is_cuda:  # sorts, where threads that add to the same few rows would wait for each other
        grad = grad.to(table.dtype).contiguous()
        look = torch.ops.aten.embedding_dense_backward
        by_taps = [look(grad, codes[:, tap : tap + frames].long(), classes, -1, False) for tap in range(taps)]
        return torch.stack(by_taps), by_bias
    by_table = table.new_zeros(taps, classes, channels)
    for start in range(0, frames, _CHUNK):
        part = grad[:, start : start + _CHUNK].to(table.dtype)
        for tap in range(taps):
            rows = codes[:, start + tap : start + tap + part.shape[1]].int()
            by_table[tap].index_add_(0, rows.flatten(), part.flatten(0, 1))
    return by_table, by_bias


class _Lookup(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, codes: Tensor, table: Tensor, bias: Tensor, dtype: torch.dtype) -> Tensor:
        ctx.save_for_backward(codes, table)
        return _sums(codes, table, bias, dtype)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, grad: Tensor
    ) -> tuple[Tensor | None, ...]:
        return None, *_sums_gradient(grad, *ctx.saved_tensors), None


def lookup(codes: Tensor, table: Tensor, bias: Tensor) -> Tensor:
    """Codes (B, T) to (B, C, T - K + 1): sums of K rows of the table (K, Q, C), one for each tap, and the bias."""
    return _Lookup.apply(codes, table, bias, compute_dtype(table)).transpose(1, 2)


class _GatedLookup(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, codes: Tensor, *tables: Tensor) -> Tensor:
        identity, identity_bias, table, bias = tables
        ctx.dtype = compute_dtype(table)
        ctx.save_for_backward(codes, *tables)
        reach = table.shape[0] - identity.shape[0]
        out = _sums(codes[:, reach:], identity, identity_bias, ctx.dtype)
        out = out.transpose(1, 2)
        return out.addcmul_(*activate(_sums(codes, table, bias, ctx.dtype).transpose(1, 2)))

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, grad: Tensor
    ) -> tuple[Tensor | None, ...]:
        codes, identity, _, table, bias = ctx.saved_tensors
        activated = activate(_sums(codes, table, bias, ctx.dtype).transpose(1, 2))  # cheaper to look up than to keep
        by_table = _sums_gradient(activation_gradient(grad, activated).transpose(1, 2), codes, table)
        grad = grad.transpose(1, 2)  # (B, C, T) to (B, T, C)
        return None, *_sums_gradient(grad, codes[:, table.shape[0] - identity.shape[0] :], identity), *by_table


def gated_lookup(codes: Tensor, identity: tuple[Tensor, Tensor], both: tuple[Tensor, Tensor]) -> Tensor:
    """A gated residual layer on codes (B, T) whose identity and convolution are tables with biases: (B, C, T')."""
    return _GatedLookup.apply(codes, *identity, *both)
