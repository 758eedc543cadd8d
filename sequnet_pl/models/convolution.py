"""Valid convolutions on sequences that lie in memory frame by frame (channels last), and their gradients.

Frames of 180 channels side by side are read twice as fast as channels of 36,000 frames, and crops, phases and 1x1
convolutions need no copies. Shapes stay (B, C, T); only strides tell.

Letters: B batch, T time in frames, C channels, K kernel.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

_CHUNK = 2048
"""Frames whose inputs and gradients fit a core's cache together: three times as fast as all frames in one go."""


def channels_last(x: Tensor) -> Tensor:
    """x (B, C, T), frame by frame in memory; itself where it is so already."""
    return x.transpose(1, 2).contiguous().transpose(1, 2)


def join(tensors: list[Tensor]) -> Tensor:
    """Tensors (B, C, T) concatenated on channels, channels last."""
    return torch.cat([x.transpose(1, 2) for x in tensors], dim=2).transpose(1, 2)


def pad_front(x: Tensor, frames: int) -> Tensor:
    """x (B, C, T) with so many frames of zeros before it, channels last."""
    return F.pad(x.transpose(1, 2), (0, 0, frames, 0)).transpose(1, 2)


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int = 1, dilation: int = 1) -> Tensor:
    """F.conv1d in the type of x, channels last."""
    bias = None if bias is None else bias.to(x.dtype)
    return F.conv2d(_plane(x), _kernel(weight, x), bias, (1, stride), 0, (1, dilation)).squeeze(2)


def convolution_gradient(
    grad: Tensor, x: Tensor, weight: Tensor, stride: int = 1, dilation: int = 1
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of a convolution's inputs, in their type, and of weight and bias, in that of the weight."""
    kernel = _kernel(weight, x)
    grad, x = channels_last(grad), channels_last(x)
    by_weight = torch.empty_like(weight)  # laid as the weight is, which groups of processes rely on
    by_weight.copy_(_weight_gradient(grad, x, kernel, stride, dilation).squeeze(2))
    return _input_gradient(grad, x, kernel, stride, dilation), by_weight, grad.sum((0, 2)).to(weight.dtype)


def _plane(x: Tensor) -> Tensor:
    """x (B, C, T) as the library takes what is channels last: (B, C, 1, T)."""
    return channels_last(x).unsqueeze(2)


def _kernel(weight: Tensor, x: Tensor) -> Tensor:
    """The weight (C', C, K) in the type of x as (C', C, 1, K), channels last: one copy at the most."""
    return weight.unsqueeze(2).to(x.dtype, memory_format=torch.channels_last)


def _gradients(
    grad: Tensor, x: Tensor, kernel: Tensor, stride: int, dilation: int, wanted: list[bool]
) -> tuple[Tensor, ...]:
    sizes = [kernel.shape[0]], [1, stride], [0, 0], [1, dilation], False, [0, 0], 1
    return torch.ops.aten.convolution_backward(_plane(grad), _plane(x), kernel, *sizes, wanted)


def _input_gradient(grad: Tensor, x: Tensor, kernel: Tensor, stride: int, dilation: int) -> Tensor:
    if stride == 1 or x.is_cuda:
        return _gradients(grad, x, kernel, stride, dilation, [True, False, False])[0].squeeze(2)
    # by phase: the library computes with the zeros between the frames of a strided convolution, or copies around them
    by_x = x.new_empty(len(x), x.shape[-1], x.shape[1]).transpose(1, 2)
    for phase in range(stride):
        part = by_x[..., phase::stride]
        taps = kernel[..., phase::stride]
        part.copy_(_gradients(grad, torch.empty_like(part), taps, 1, 1, [True, False, False])[0].squeeze(2))
    return by_x


def _weight_gradient(grad: Tensor, x: Tensor, kernel: Tensor, stride: int, dilation: int) -> Tensor:
    frames, taps = grad.shape[-1], kernel.shape[-1]
    chunks = frames // _CHUNK
    if grad.is_cuda or chunks < 2:
        return _gradients(grad, x, kernel, stride, dilation, [False, True, False])[1]
    if dilation > 1:  # what chunks read would overlap too much
        shifted = (x[..., tap * dilation :][..., : (frames - 1) * stride + 1] for tap in range(taps))
        return torch.cat([_weight_gradient(grad, part, kernel[..., :1], stride, 1) for part in shifted], dim=-1)
    length = frames // chunks
    done = chunks * length
    by_weight = _gradients(
        _chunked(grad, chunks, length, length),
        _chunked(x, chunks, (length - 1) * stride + taps, length * stride),
        kernel,
        stride,
        1,
        [False, True, False],
    )[1]
    if done < frames:
        by_weight += _weight_gradient(grad[..., done:], x[..., done * stride :], kernel, stride, 1)
    return by_weight


def _chunked(x: Tensor, chunks: int, length: int, hop: int) -> Tensor:
    """Chunks (B * chunks, C, length) of x (B, C, T), a hop apart; they may overlap."""
    batch, step = x.stride(0), x.stride(2)
    rows = x.as_strided((len(x), chunks, length, x.shape[1]), (batch, hop * step, step, 1))
    return rows.flatten(0, 1).contiguous().transpose(1, 2)
