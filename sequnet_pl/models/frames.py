"""Frames (B, T, C) with channels last: crops and phases are views, and the libraries are fastest.

Letters: B batch, T time in frames, C channels, K kernel.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def width(channels: int, device: torch.device) -> int:
    """Return the number of channels to compute: on a GPU a multiple of 64 or 8, for tensor cores.

    Parameters, gradients and states are not padded; the added channels are zeros and stay zeros.
    """
    if device.type != "cuda":
        return channels
    widest = -(-channels // 64) * 64
    return widest if 8 * widest <= 9 * channels else -(-channels // 8) * 8


def pad(x: Tensor, dim: int, channels: int, width: int) -> Tensor:
    """Append zeros to each group of `channels` entries of a dimension, up to `width`; x itself where they are equal."""
    if width == channels:
        return x
    groups = x.unflatten(dim, (-1, channels))
    return F.pad(groups, (0, 0) * (x.dim() - dim - 1) + (0, width - channels)).flatten(dim, dim + 1)


def compute_dtype(x: Tensor) -> torch.dtype:
    """Return the type to compute in: that of autocast where it is on, else that of `x`."""
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype


def cpu_has_bfloat16_products() -> bool:
    """Return whether this processor has instructions for products in bfloat16."""
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in ("amx_bf16", "avx512_bf16"))


def last(x: Tensor, frames: int) -> Tensor:
    """Return the last `frames` of x (B, T, C)."""
    return x[:, x.shape[1] - frames :]


def convolve(x: Tensor, weight: Tensor, bias: Tensor, stride: int = 1, dilation: int = 1) -> Tensor:
    """Valid convolution of x (B, T, C) with weight (C', C, K): (B, (T - span) // stride + 1, C').

    The span of a kernel is 1 + (K - 1) * dilation frames.
    """
    # to the library, frames are images of height 1 in the memory format "channels last"
    kernel = weight.unsqueeze(2).to(x.dtype, memory_format=torch.channels_last)
    image = x.transpose(1, 2).unsqueeze(2)
    return F.conv2d(image, kernel, bias, (1, stride), dilation=(1, dilation)).squeeze(2).transpose(1, 2)


def convolve_by_products(x: Tensor, weight: Tensor, bias: Tensor, dilation: int) -> Tensor:
    """Compute a dilated convolution of x (B, T, C) as a sum of matrix products, one for each tap."""
    frames = x.shape[1] - (weight.shape[-1] - 1) * dilation
    reads = [x[:, tap * dilation : tap * dilation + frames] for tap in range(weight.shape[-1])]
    out = F.linear(reads[0], weight[..., 0], bias)
    for read, kernel in zip(reads[1:], weight.unbind(-1)[1:], strict=True):
        if read.dtype == torch.float32:  # without the product beside the sum
            out = torch.baddbmm(out, read, kernel.T.expand(len(read), -1, -1))
        else:  # in bfloat16 that leaves holes in the heap
            out = out + F.linear(read, kernel)
    return out
