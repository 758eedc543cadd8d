"""The levels of a Seq-U-Net, each with layers on the way down and up, and the samples that they read.

Letters: B batch, T time in frames, C channels. Depths are those of each level, the finest first.
"""

from collections.abc import Sequence
from typing import cast

import numpy as np
from torch import Tensor, nn

from sequnet_pl.errors import UsageError
from sequnet_pl.models.frames import last
from sequnet_pl.models.layers import GatedConv, GatedUpsample


def gated_convs(depth: int, features: int, kernel_size: int, conditioned: bool = False) -> Sequence[GatedConv]:
    """Return a module list of `depth` gated convolutions."""
    layers = nn.ModuleList(GatedConv(features, kernel_size, conditioned=conditioned) for _ in range(depth))
    return cast(Sequence[GatedConv], layers)


def layers_by_level(depth: int | list[int], levels: int) -> list[int]:
    """Return the depth of each level, the finest first. UsageError for one below 1, too many or none."""
    given = depth if isinstance(depth, list) else [depth]
    if not 1 <= len(given) <= levels or min(given) < 1:
        raise UsageError(f"depth is {depth}, but must be 1 or more, or a list of as much for up to {levels} levels")
    return given + given[-1:] * (levels - len(given))


class Level(nn.Module):
    """The layers of one level except the bottleneck, on the way down and on the way up again.

    Each frame comes with the form that convolutions read: RMS-normalised, or the frame itself.
    """

    def __init__(self, features: int, depth: int, kernel_size: int, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm
        self.down = gated_convs(depth, features, kernel_size)
        self.strided = GatedConv(features, kernel_size, stride=2)
        self.upsample = GatedUpsample(features, kernel_size)
        self.up = gated_convs(depth, features, kernel_size, conditioned=True)

    def descend(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Compute the skip, its form for reading, and the frames of the level below, from frames (B, T, C)."""
        read = self.norm(x)
        for layer in self.down:
            x = layer(x, read)
            read = self.norm(x)
        return x, read, self.strided(x, read)

    def ascend(self, x: Tensor, read: Tensor, skip: Tensor, skip_read: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the frames of this level from those of the level below and the skip."""
        condition = self.norm(self.upsample(x, read)[0])
        x, read = last(skip, condition.shape[1]), last(skip_read, condition.shape[1])
        for layer in self.up:
            x = layer(x, read, condition)
            read = self.norm(x)
        return x, read


def window_inputs(depths: list[int], kernel_size: int, outputs: int) -> int:
    """Return the inputs of a window for `outputs`, a multiple of the cycle, computed from output to input."""
    dropped = kernel_size - 1  # frames that a convolution drops
    *depths, bottleneck = depths
    size = outputs
    for depth in depths:
        size = -(-(size + depth * dropped + dropped) // 2)
    size += bottleneck * dropped
    for depth in reversed(depths):
        size = 2 * (size - 1) + 1 + dropped + depth * dropped
    return size + dropped


def receptive_field(depths: list[int], kernel_size: int) -> int:
    """Return the largest receptive field over the phases of a cycle, in samples."""
    taps = np.arange(kernel_size)
    *depths, bottleneck = depths
    # samples from a frame back to the first code in its receptive field, for each tap
    lag = 1 + bottleneck * 2 ** len(depths) + sum((depth + 1) * 2**level for level, depth in enumerate(depths))
    lags = np.array([lag * taps[-1]])  # by phase of the frame in the cycle

    def back(lags: np.ndarray, taps: np.ndarray, spacing: int) -> np.ndarray:
        return np.max([np.roll(lags, tap) + tap * spacing for tap in taps], axis=0)

    for level, depth in reversed(list(enumerate(depths))):
        coarse = 2 ** (level + 1)
        even = back(lags, taps[: kernel_size // 2 + 1], coarse)
        odd = back(lags, taps[: kernel_size // 2], coarse) + 2**level
        lags = np.stack((even, odd), axis=-1).reshape(-1)
        for _ in range(depth):
            lags = back(lags, taps, 2**level)
    return int(lags.max()) + 1
