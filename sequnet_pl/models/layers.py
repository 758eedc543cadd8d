"""The layers of the networks, each for whole sequences (forward) and for one frame at a time (step).

Letters: B batch, T time in frames, C channels, K kernel, Q = 256 classes. All convolutions are valid: what a layer
drops, it drops from the front. The number of channels that a layer computes follows from its input: see `frames.width`.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sequnet_pl.audio.mulaw import CLASSES
from sequnet_pl.models.frames import compute_dtype, convolve, last, pad


def gate(both: Tensor) -> Tensor:
    """Multiply tanh of the first half of the channels (..., 2C), the filter, by sigmoid of the second, the gate."""
    filtered, gated = both.chunk(2, dim=-1)
    return torch.tanh(filtered) * torch.sigmoid(gated)


def gated_convolution(x: Tensor, weight: Tensor, bias: Tensor, stride: int = 1, dilation: int = 1) -> Tensor:
    """Compute the gate of a valid convolution of x (B, T, C) with weight (2C', C, K): (B, T', C').

    In float32 on a CPU, a wide filter and gate are two convolutions: oneDNN's backward pass scales badly with output
    channels. Narrow ones are faster as one.
    """
    if x.is_cpu and x.dtype == torch.float32 and len(bias) >= 128:
        halves = zip(weight.chunk(2), bias.chunk(2), strict=True)
        filtered, gated = (convolve(x, *half, stride, dilation) for half in halves)
        return torch.tanh(filtered) * torch.sigmoid(gated)
    return gate(convolve(x, weight, bias, stride, dilation))


class RMSNorm(nn.Module):
    """x / sqrt(mean(x^2) + 1e-6) over `channels`, in float32 at least; padding beyond them is zeros."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        """Normalise frames (..., C) to mean square 1; frames of zeros stay zeros."""
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        mean = wide.square().sum(-1, keepdim=True) / self.channels
        return (wide * torch.rsqrt(mean + 1e-6)).to(x.dtype)


def push(window: Tensor, frame: Tensor) -> None:
    """Shift a window (B, C, K) by one in place: the oldest frame leaves, `frame` (B, C) enters at the end."""
    window.copy_(torch.cat((window[..., 1:], frame.unsqueeze(-1)), dim=-1))


def apply_window(weight: Tensor, bias: Tensor | None, window: Tensor) -> Tensor:
    """Compute one output frame (B, C') of a convolution, weight (C', C, K), over a whole window (B, C, K)."""
    return F.linear(window.flatten(1), weight.flatten(1), bias)


def bias_of(layer: nn.Conv1d | nn.Linear) -> Tensor:
    """Return the bias of a layer that has one."""
    assert layer.bias is not None
    return layer.bias


class CodeConv(nn.Module):
    """A convolution over one-hot codes, and the rows of labels that are added to its frames, once there are any.

    `label_rows` (1 + labels, C) are an embedding: row 0 is for no label.
    """

    label_rows: nn.Parameter | None

    def __init__(self, channels: int, kernel_size: int = 1) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        bound = 1 / math.sqrt(CLASSES * kernel_size)  # as torch initialises the convolution
        self.weight = nn.Parameter(torch.empty(kernel_size, CLASSES, channels).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(channels).uniform_(-bound, bound))
        self.register_parameter("label_rows", None)

    @torch.no_grad()
    def select_labels(self, numbers: Sequence[int]) -> None:
        """Keep the rows of these labels in this order; without any, add that of no label to the bias and have none.

        Where there are no rows they are zeros. Number 0 gives a new label the row of no label.
        """
        rows = self.bias.new_zeros(1, self.bias.numel()) if self.label_rows is None else self.label_rows
        if numbers:
            self.label_rows = nn.Parameter(rows[[0, *numbers]])
        else:
            self.bias += rows[0]
            self.label_rows = None

    @torch.no_grad()
    def start_smooth(self, frequency: float) -> None:
        """Initialise the rows with random cosines of the code, so that neighbouring codes have similar rows.

        Independent rows would be learnt for each code alone. These are the random Fourier features of Rahimi and Recht
        (2007).

        Args:
            frequency: Standard deviation of the frequencies, in radians over half the range of codes.
        """
        code = torch.linspace(-1, 1, CLASSES).unsqueeze(-1)
        frequencies, phases = torch.randn(self.weight[:, :1].shape), torch.rand(self.weight[:, :1].shape)
        self.weight.copy_(0.4 * torch.cos(frequency * frequencies * code + 2 * math.pi * phases))

    def forward(self, codes: Tensor, width: int | None = None, labels: Tensor | None = None) -> Tensor:
        """Map codes (B, T) to frames (B, T - K + 1, C), or (..., `width`) with zeros in the last channels.

        The rows of `labels` (B,) int64 are added, by default those of no label.

        A GPU multiplies one-hot codes. Elsewhere rows are looked up and summed in the type of the table, so that
        gradients of frequent rows are accumulated in it.
        """
        channels = self.bias.numel()
        table, bias = (pad(x, x.dim() - 1, channels, width or channels) for x in (self.weight, self.bias))
        dtype = compute_dtype(table)
        if codes.is_cuda and codes.shape[1] > self.kernel_size:
            one_hot = codes.unsqueeze(-1) == torch.arange(CLASSES, device=codes.device)
            frames = convolve(one_hot.to(dtype), table.permute(2, 1, 0), bias)
        else:
            taps = torch.arange(self.kernel_size, device=codes.device)
            rows = codes.long().unfold(1, self.kernel_size, 1) + CLASSES * taps
            sums = F.embedding_bag(rows.flatten(0, 1), table.flatten(0, 1), mode="sum") + bias
            frames = sums.view(*rows.shape[:2], -1)
        if self.label_rows is not None:
            chosen = self.label_rows[:1] if labels is None else self.label_rows[labels]
            frames = frames + pad(chosen, 1, channels, frames.shape[-1]).unsqueeze(1).to(frames.dtype)
        return frames.to(dtype)


class GatedConv(nn.Module):
    """Gated residual convolution: identity + tanh(filter(x)) * sigmoid(gate(x)), filter and gate as one convolution.

    With stride 2 every second frame is kept, the last one among them. A conditioned layer convolves [x, condition];
    its identity is x alone. In an RMS-normalised network the convolution reads `read` instead of x.
    """

    def __init__(self, features: int, kernel_size: int, stride: int = 1, conditioned: bool = False) -> None:
        super().__init__()
        self.features, self.kernel_size, self.stride = features, kernel_size, stride
        self.conv = nn.Conv1d(features * (1 + conditioned), 2 * features, kernel_size, stride)

    def forward(self, x: Tensor, read: Tensor | None = None, condition: Tensor | None = None) -> Tensor:
        """Map x and read (B, T, C) and condition (B, T' >= T, C) to (B, (T - K) // stride + 1, C)."""
        given = None if read is x else read  # one slice of x, else gradients would add up in another order
        x = x[:, (x.shape[1] - self.kernel_size) % self.stride :]
        inputs = x if given is None else last(given, x.shape[1])
        if condition is not None:
            inputs = torch.cat((inputs, last(condition, x.shape[1])), dim=-1)
        weight, bias = pad_gated(self.conv.weight, self.conv.bias, self.features, x.shape[-1])
        return x[:, self.kernel_size - 1 :: self.stride] + gated_convolution(inputs, weight, bias, self.stride)

    def step(self, x: Tensor, window: Tensor) -> Tensor:
        """Compute the newest output frame (B, C) from the newest input x (B, C) and the window that ends with it."""
        return x + gate(apply_window(self.conv.weight, self.conv.bias, window))


class GatedUpsample(nn.Module):
    """Gated residual transposed convolution of stride 2, computed by phase; the identity is each frame held twice.

    Coarse frame m gives the fine frames 2m (the even taps) and 2m + 1 (the odd taps, which need no newer coarse frame).
    """

    def __init__(self, features: int, kernel_size: int) -> None:
        super().__init__()
        self.features = features
        self.even = nn.Conv1d(features, 2 * features, kernel_size // 2 + 1, bias=False)
        self.odd = nn.Conv1d(features, 2 * features, kernel_size // 2, bias=False)
        self.bias = nn.Parameter(torch.empty(2 * features))  # of both phases
        bound = 1 / math.sqrt(features * kernel_size)  # as torch initialises the transposed convolution
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def forward(self, x: Tensor, read: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map coarse (B, M, C) to fine (B, 2M - K + 1, C), which end on the last even frame, and odd frames (B, M', C).

        The convolution reads `read` where it is given. The last odd frame lies one frame after the fine ones.
        """
        even, odd = (self._phase(x, x if read is None else read, phase.weight) for phase in (self.even, self.odd))
        # one odd frame more than even ones: the first odd precedes the first even, the last follows the last
        return torch.stack((odd[:, :-1], even), dim=2).flatten(1, 2), odd

    def _phase(self, x: Tensor, read: Tensor, weight: Tensor) -> Tensor:
        weight, bias = pad_gated(weight, self.bias, self.features, x.shape[-1])
        return x[:, weight.shape[-1] - 1 :] + gated_convolution(read, weight, bias)

    def step(self, x: Tensor, window: Tensor) -> tuple[Tensor, Tensor]:
        """Compute even and odd frame (B, C each) from the newest coarse frame x (B, C) and its window."""
        even = apply_window(self.even.weight, self.bias, window)
        odd = apply_window(self.odd.weight, self.bias, window[..., 1:])
        return x + gate(even), x + gate(odd)


def pad_gated(weight: Tensor, bias: Tensor | None, features: int, width: int) -> tuple[Tensor, Tensor]:
    """Pad weight (2C, C or 2C, K) and bias (2C) to `width` channels: filter and gate, x and condition, each apart."""
    assert bias is not None
    return pad(pad(weight, 0, features, width), 1, features, width), pad(bias, 0, features, width)
