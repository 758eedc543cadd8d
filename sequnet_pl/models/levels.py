"""The levels of a Seq-U-Net, each with layers on the way down and up. B batch, T time in frames, C channels."""

from collections.abc import Sequence
from typing import cast

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
