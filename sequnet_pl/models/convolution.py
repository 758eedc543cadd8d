"""Valid convolutions on sequences that lie in memory frame by frame (channels last), and their gradients, in pieces.

Frames of 180 channels side by side are read twice as fast as channels of 36,000 frames, and crops, phases and 1x1
convolutions need no copies. Shapes stay (B, C, T); only strides tell. On a CPU layers go over time in pieces, so that
what they compute on the way stays in the cache and is never there in full length.

Letters: B batch, T time in frames, C channels, K kernel.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from sequnet_pl.models import arena

_PIECE = 12288
"""Bytes of a channel in a piece. Longer ones make gradients of weights slower, shorter ones all else."""


def channels_last(x: Tensor) -> Tensor:
    """x (B, C, T), frame by frame in memory; itself where it is so already."""
    return x.transpose(1, 2).contiguous().transpose(1, 2)


def empty(like: Tensor, channels: int, frames: int) -> Tensor:
    """An uninitialized (B, C, T), channels last."""
    return arena.empty(like, len(like), frames, channels).transpose(1, 2)


def copy(x: Tensor) -> Tensor:
    """x (B, C, T), channels last."""
    return empty(x, *x.shape[1:]).copy_(x)


def last(x: Tensor, frames: int) -> Tensor:
    """The last frames of x (B, C, T)."""
    return x[..., x.shape[-1] - frames :]


def join(tensors: list[Tensor]) -> Tensor:
    """Tensors (B, C, T) concatenated on channels, channels last."""
    sizes = [x.shape[1] for x in tensors]
    joined = empty(tensors[0], sum(sizes), tensors[0].shape[-1])
    for part, x in zip(joined.split(sizes, 1), tensors, strict=True):
        part.copy_(x)
    return joined


def in_sequence(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors (B, C, T) one after the other in time, channels last; differentiable."""
    return torch.cat([x.transpose(1, 2) for x in tensors], dim=1).transpose(1, 2)


def pad_front(x: Tensor, frames: int, channels: int = 0) -> Tensor:
    """x (B, C, T) with so many frames of zeros before it, and channels of zeros after its own; a copy."""
    padded = empty(x, x.shape[1] + channels, frames + x.shape[-1])
    padded[..., :frames] = 0
    padded[:, x.shape[1] :] = 0
    padded[:, : x.shape[1], frames:] = x
    return padded


def pieces(x: Tensor, frames: int) -> list[slice]:
    """`frames` in pieces; in one on a GPU, and for a compiler, which plans for itself.

    All but the last are of the same length in every layer: the library keeps code for each length that it meets.
    """
    length = max(1, _PIECE // (len(x) * x.element_size()))
    count = 1 if x.is_cuda or torch.compiler.is_compiling() else -(-frames // length)
    return [slice(n * length, (n + 1) * length if n < count - 1 else frames) for n in range(count)]


class Convolution:
    """A convolution in the type of x; its gradients add up over pieces in the type of the weight.

    Args:
        x: Of the type and on the device to compute on.
        weight: (C', C, K).
        bias: (C'); only gradients can do without.
        stride, dilation: Of which one is 1.
    """

    def __init__(self, x: Tensor, weight: Tensor, bias: Tensor | None = None, stride: int = 1, dilation: int = 1):
        self._weight, self.stride, self._dilation = weight, stride, dilation
        # of the one row that a kernel has here: with a single thread torch takes oneDNN for 1x1 convolutions only so
        self._row_dilation = 2 if x.is_cpu and x.dtype == torch.float32 else 1
        self.channels, self.taps = len(weight), weight.shape[-1]
        self.reach = (self.taps - 1) * dilation
        # frames far apart are put side by side, as channels: pieces would overlap too much
        self._gathers = dilation > 1 and not x.is_cuda
        kernel = weight.transpose(1, 2).flatten(1).unsqueeze(2) if self._gathers else weight
        self._kernel = kernel.unsqueeze(2).to(x.dtype, memory_format=torch.channels_last)  # (C', C, 1, K)
        self._bias = None if bias is None else bias.to(x.dtype)
        self._by_kernel: Tensor | None = None
        self._by_bias = weight.new_zeros(self.channels)

    def outputs(self, x: Tensor) -> int:
        """Number of output frames of x."""
        return (x.shape[-1] - self.reach - 1) // self.stride + 1

    def window(self, piece: slice) -> slice:
        """The input frames of a piece of output frames."""
        return slice(piece.start * self.stride, (piece.stop - 1) * self.stride + self.reach + 1)

    def __call__(self, x: Tensor) -> Tensor:
        """x (B, C, T) to (B, C', T'), channels last."""
        stride, _, dilation = self._sizes()
        return F.conv2d(self._plane(x), self._kernel, self._bias, stride, 0, dilation).squeeze(2)

    def backward(self, grad: Tensor, x: Tensor, by_x: Tensor) -> None:
        """Add the gradient of inputs x to `by_x`, both (B, C, T), given that of the outputs (B, C', T')."""
        grad = channels_last(grad).unsqueeze(2)
        self._add(*self._gradients(grad, self._plane(x), self._kernel, [False, True, True])[1:])
        if self._gathers:
            kernels, parts = [*self._kernel.chunk(self.taps, 1)], self._shifted(by_x)
        elif by_x.is_cuda:
            kernels, parts = [self._kernel], [by_x]
        else:  # by phase: the library computes with the zeros between the frames of a strided convolution
            kernels = [self._kernel[..., phase :: self.stride] for phase in range(self.stride)]
            parts = [by_x[..., phase :: self.stride] for phase in range(self.stride)]
        for kernel, part in zip(kernels, parts, strict=True):
            like = torch.empty_like(part).unsqueeze(2)  # of which only the shape is read
            part += self._gradients(grad, like, kernel, [True, False, False])[0].squeeze(2)

    def backward_1x1(self, grad: Tensor, x: Tensor) -> Tensor:
        """The gradient of inputs x (B, C, T) of a convolution of one tap, given that of the outputs (B, C', T)."""
        by_x, *others = self._gradients(channels_last(grad).unsqueeze(2), self._plane(x), self._kernel, [True] * 3)
        self._add(*others)
        return by_x.squeeze(2)

    def _add(self, by_kernel: Tensor, by_bias: Tensor) -> None:
        self._by_bias += by_bias
        by_kernel = by_kernel.to(self._by_bias.dtype)
        self._by_kernel = by_kernel if self._by_kernel is None else self._by_kernel.add_(by_kernel)

    def gradients(self) -> tuple[Tensor, Tensor]:
        """Of weight and bias, from all calls of `backward`."""
        assert self._by_kernel is not None
        by_weight = self._by_kernel.squeeze(2)
        if self._gathers:
            by_weight = by_weight.view(self.channels, self.taps, -1).transpose(1, 2)
        # contiguous as the weight is, which groups of processes rely on
        return arena.empty(self._weight, *self._weight.shape).copy_(by_weight), self._by_bias

    def _sizes(self) -> tuple[list[int], list[int], list[int]]:
        """Stride, padding and dilation."""
        return [1, self.stride], [0, 0], [self._row_dilation, 1 if self._gathers else self._dilation]

    def _shifted(self, x: Tensor) -> list[Tensor]:
        """What each tap reads of x."""
        frames = x.shape[-1] - self.reach
        return [x[..., tap * self._dilation :][..., :frames] for tap in range(self.taps)]

    def _plane(self, x: Tensor) -> Tensor:
        """x (B, C, T) as the library takes what is channels last: (B, C, 1, T)."""
        return (join(self._shifted(x)) if self._gathers else channels_last(x)).unsqueeze(2)

    def _gradients(self, grad: Tensor, x: Tensor, kernel: Tensor, wanted: list[bool]) -> tuple[Tensor, ...]:
        stride, padding, dilation = self._sizes()
        if wanted[0] and not x.is_cuda:
            stride = [1, 1]
        sizes = [self.channels], stride, padding, dilation, False, [0, 0], 1
        return torch.ops.aten.convolution_backward(grad, x, kernel, *sizes, wanted)
