"""A WaveNet layer whose backward keeps three tensors: its input, tanh and sigmoid (see gated.py).

1x1 convolutions are matrix products here: the general convolution copies their input.
Letters: B batch, T time, C channels, K kernel.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from sequnet_pl.models.gated import activate, activation_gradient, compute_dtype, convolution_gradient


def _matrix(weight: Tensor, like: Tensor) -> Tensor:
    """Weight (C', C, 1) of a 1x1 convolution as a matrix for each of the batch."""
    return weight.to(like.dtype).squeeze(-1).expand(len(like), -1, -1)


def _mix(base: Tensor, weight: Tensor, bias: Tensor, z: Tensor) -> Tensor:
    """A 1x1 convolution, added to `base`."""
    return torch.baddbmm(base, _matrix(weight, z), z).add_(bias.to(z.dtype).unsqueeze(-1))


def _mix_gradient(grad: Tensor, weight: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of weight and bias."""
    by_weight = torch.bmm(grad, z.transpose(1, 2)).sum(0).unsqueeze(-1)
    return by_weight.to(weight.dtype), grad.sum((0, 2)).to(weight.dtype)


class _Layer(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, total: Tensor, dilation: int, *parameters: Tensor) -> tuple[Tensor, ...]:
        weight, bias, skip_weight, skip_bias = parameters[:4]
        residual = parameters[4:]
        both = F.conv1d(x, weight.to(x.dtype), bias.to(x.dtype), dilation=dilation)
        filtered, gated = activate(both)
        z = filtered * gated
        ctx.dilation = dilation
        ctx.outputs = total.shape[-1]
        ctx.save_for_backward(x, both, weight, skip_weight, *residual[:1])
        total = _mix(total, skip_weight, skip_bias, z[..., z.shape[-1] - ctx.outputs :])
        if not residual:
            return (total,)
        return total, _mix(x[..., x.shape[-1] - z.shape[-1] :], residual[0], residual[1], z)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, by_total: Tensor, *by_stream: Tensor
    ) -> tuple[Tensor | None, ...]:
        x, both, weight, skip_weight, *residual = ctx.saved_tensors
        filtered, gated = both.chunk(2, 1)
        z = filtered * gated
        tail = z[..., z.shape[-1] - ctx.outputs :]
        by_residual: tuple[Tensor, ...] = ()
        by_tail = torch.bmm(_matrix(skip_weight, z).transpose(1, 2), by_total)
        if residual:
            by_z = torch.bmm(_matrix(residual[0], z).transpose(1, 2), by_stream[0])
            by_residual = _mix_gradient(by_stream[0], residual[0], z)
        else:
            by_z = torch.zeros_like(z)
        by_z[..., z.shape[-1] - ctx.outputs :] += by_tail
        by_skip = _mix_gradient(by_total, skip_weight, tail)
        del z, tail, by_tail
        inner = activation_gradient(by_z, both)
        by_x, by_weight, by_bias = convolution_gradient(inner, x, weight.to(x.dtype), dilation=ctx.dilation)
        if residual:
            by_x[..., x.shape[-1] - by_z.shape[-1] :] += by_stream[0]
        return by_x, by_total, None, by_weight.to(weight.dtype), by_bias.to(weight.dtype), *by_skip, *by_residual


def skipping_layer(x: Tensor, total: Tensor, dilation: int, parameters: list[Tensor]) -> tuple[Tensor, Tensor]:
    """The residual stream (B, C, T - (K - 1) * dilation), and the skips so far (B, C', N) with those of this layer.

    Parameters are weight and bias of the dilated convolution, of the skip and of the residual convolution; without the
    last pair the stream ends, and x is returned.
    """
    dtype = compute_dtype(x)
    with torch.autocast(x.device.type, enabled=False):
        total, *stream = _Layer.apply(x.to(dtype), total.to(dtype), dilation, *parameters)
    return stream[0] if stream else x, total
