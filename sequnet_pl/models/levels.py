"""One level of a Seq-U-Net, on the way down and on the way up again.

Letters: B batch, T time in frames, C channels.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor, nn

from sequnet_pl.audio.mulaw import CLASSES
from sequnet_pl.models.convolution import in_sequence
from sequnet_pl.models.gated import compute_dtype, descend
from sequnet_pl.models.layers import CodeConv, GatedConv, GatedUpsample
from sequnet_pl.models.lookups import gated_lookup

_PARTS = 4
"""Of time, in which the finest level is computed."""
_MUCH = 16 << 20
"""Bytes of its frames from which on its activations, four times as much, are not kept beside weights and moments."""


def gated_convs(depth: int, features: int, kernel_size: int, conditioned: bool = False) -> Sequence[GatedConv]:
    """`depth` gated convolutions in a module list."""
    layers = nn.ModuleList(GatedConv(features, kernel_size, conditioned=conditioned) for _ in range(depth))
    return cast(Sequence[GatedConv], layers)


class Level(nn.Module):
    """The layers of one level except the bottleneck, on the way down and on the way up again."""

    def __init__(self, features: int, depth: int, kernel_size: int) -> None:
        super().__init__()
        self.down = gated_convs(depth, features, kernel_size)
        self.strided = GatedConv(features, kernel_size, stride=2)
        self.upsample = GatedUpsample(features, kernel_size)
        self.up = gated_convs(depth, features, kernel_size, conditioned=True)

    def descend(self, x: Tensor, kept: int, first: int = 0) -> tuple[Tensor, Tensor]:
        """From layer `first` on: the last `kept` frames (B, C, kept) of the skip, and the frames of the level below."""
        convs = [layer.conv for layer in (*self.down[first:], self.strided)]
        return descend(x, kept, [parameter for conv in convs for parameter in conv.parameters()])

    def enter(self, codes: Tensor, kept: int, input_conv: CodeConv, run: Callable[..., Any]) -> tuple[Tensor, Tensor]:
        """`descend` of the finest level from codes (B, T) on: a third of all activations of the network.

        In parts of time, of which the backward pass computes one at a time again where they are much; `run` runs one,
        see `Network._run`.
        """
        reach = input_conv.kernel_size - 1
        if codes.numel() < 2 * CLASSES * input_conv.kernel_size:  # to make one table of two layers is more work
            return self.descend(input_conv(codes), kept)
        tables = input_conv.then(self.down[0])

        def part(codes: Tensor, kept: int) -> tuple[Tensor, Tensor]:
            return self.descend(gated_lookup(codes, *tables), kept, 1)

        reach *= len(self.down) + 2  # codes before its own that an output frame sees
        frames = (codes.shape[-1] - reach + 1) // 2
        codes = codes[:, codes.shape[-1] - reach - (2 * frames - 1) :]
        again = codes.numel() * len(input_conv.bias) * compute_dtype(input_conv.weight).itemsize > _MUCH
        count = 1 if codes.is_cuda or torch.compiler.is_compiling() else min(_PARTS, frames)
        ends = [frames * n // count for n in range(count + 1)]
        parts: list[tuple[Tensor, Tensor]] = []
        for start, stop in pairwise(ends):
            own = max(0, kept - 2 * (frames - stop))  # the skip's frames up to where the part ends
            own = min(own, 2 * (stop - start)) if start else own  # and from where it begins
            parts.append(run(part, codes[:, 2 * start : 2 * stop - 1 + reach], own, again=again))
        skips, outputs = zip(*parts, strict=True)
        return in_sequence(skips), in_sequence(outputs)

    def ascend(self, x: Tensor, skip: Tensor) -> Tensor:
        """Frames of the level below, and the skip, to those of this one."""
        condition, _ = self.upsample(x)
        for layer in self.up:
            skip = layer(skip, condition)
        return skip
