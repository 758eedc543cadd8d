"""A WaveNet layer whose backward keeps three tensors: its input, tanh and sigmoid (see gated.py).

Letters: B batch, T time in frames, C channels, K kernel.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from sequnet_pl.models.convolution import convolution_gradient, convolve
from sequnet_pl.models.gated import activate, activation_gradient, compute_dtype


def _last(x: Tensor, frames: int) -> Tensor:
    return x[..., x.shape[-1] - frames :]


class _Layer(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, total: Tensor, dilation: int, *parameters: Tensor) -> tuple[Tensor, ...]:
        (weight, bias, skip_weight, skip_bias), residual = parameters[:4], parameters[4:]
        activated = activate(convolve(x, weight, bias, dilation=dilation))
        z = torch.mul(*activated)
        ctx.dilation, ctx.outputs = dilation, total.shape[-1]
        ctx.save_for_backward(x, activated, weight, skip_weight, *residual[:1])
        total = convolve(_last(z, ctx.outputs), skip_weight, skip_bias).add_(total)
        if not residual:
            return (total,)
        return total, convolve(z, residual[0], residual[1]).add_(_last(x, z.shape[-1]))

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, by_total: Tensor, *by_stream: Tensor
    ) -> tuple[Tensor | None, ...]:
        x, activated, weight, skip_weight, *residual = ctx.saved_tensors
        z = torch.mul(*activated)
        by_tail, *by_skip = convolution_gradient(by_total, _last(z, ctx.outputs), skip_weight)
        if residual:
            by_z, *by_residual = convolution_gradient(by_stream[0], z, residual[0])
        else:
            by_z, by_residual = torch.zeros_like(z), []
        _last(by_z, ctx.outputs).add_(by_tail)
        del z, by_tail
        inner = activation_gradient(by_z, activated)
        by_x, *by_conv = convolution_gradient(inner, x, weight, dilation=ctx.dilation)
        if residual:
            _last(by_x, by_z.shape[-1]).add_(by_stream[0])
        return by_x, by_total, None, *by_conv, *by_skip, *by_residual


def skipping_layer(x: Tensor, total: Tensor, dilation: int, parameters: list[Tensor]) -> tuple[Tensor, Tensor]:
    """The residual stream (B, C, T - (K - 1) * dilation), and the skips so far (B, C', N) with those of this layer.

    Parameters are weight and bias of the dilated convolution, of the skip and of the residual convolution; without the
    last pair the stream ends, and x is returned.
    """
    dtype = compute_dtype(x)
    with torch.autocast(x.device.type, enabled=False):
        total, *stream = _Layer.apply(x.to(dtype), total.to(dtype), dilation, *parameters)
    return stream[0] if stream else x, total
