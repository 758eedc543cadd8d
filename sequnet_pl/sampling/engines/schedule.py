"""What a step does, as a list of operations, which the kernel that stays on the GPU follows.

A ring holds the frames that a layer gives, tick by tick. An operation is a matrix product and what follows it: it reads
frames of rings, some ticks back, and gives frames to others. Letters: C channels, F frames, K kernel, Q = 256 classes.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F


@dataclass(eq=False)
class Ring:
    """The frames of a layer, `width` channels each; one every 2^shift samples, which is a tick."""

    width: int
    shift: int = 0
    reach: int = 0
    """Ticks that the oldest frame lies back that is read."""
    raw: "Ring | None" = None
    """Of frames divided by their root mean square: the ring of the frames before."""

    @property
    def given(self) -> "Ring":
        """That a layer gives frames to."""
        return self.raw or self


class Read(NamedTuple):
    """A frame that an operation reads."""

    ring: Ring
    back: int
    """Ticks."""


class Output(NamedTuple):
    """A frame that an operation gives: by weight (C, reads, channels) and bias (C,).

    Gated, there are 2C rows, filters first, and the frame is tanh(filter) * sigmoid(gate).
    """

    ring: Ring
    weight: Tensor
    bias: Tensor
    gated: bool = False
    ahead: int = 0
    """Ticks after that of the operation."""


@dataclass(eq=False)
class Operation:
    """A matrix product and what follows it."""

    reads: list[Read]
    """Of normed frames the newest first."""
    outputs: list[Output]
    identity: int | None = None
    """Which of the frames that are read is added to those that are given, as it was before it was normed."""
    relu: bool = False
    """Of what is given."""
    relu_first: bool = False
    """Of the first frame that is read."""


Ticks = Callable[[int], NDArray[np.int64]]


@dataclass
class Schedule:
    """All steps of a network."""

    width: int
    """Channels that every frame has room for: a multiple of 8, which the kernel reads at once."""
    input: Ring
    lookup: Tensor  # (K, Q, C), the input convolution, which gives the frames of `input`
    lookup_bias: Tensor  # (C,)
    normed: bool = False
    """Whether all frames that are read are normed."""
    operations: list[Operation] = field(default_factory=list)
    patterns: list[list[int]] = field(default_factory=list)
    """The operations of a step, by how often its time can be divided by two (the last: so often or more)."""
    frames: list[tuple[Ring, Ticks]] = field(default_factory=list)
    """Those of a state, (C, F) each, in the order of `tensors`, and their ticks (F,) at a time of the state."""

    def add(self, reads: list[Read], outputs: list[Output], identity: int | None = None, relu: bool = False) -> int:
        """The number of a new operation."""
        for ring, back in reads:
            ring.reach = max(ring.reach, back)
        self.operations.append(Operation(reads, outputs, identity, relu))
        return len(self.operations) - 1

    def add_linear(self, reads: list[Read], weight: Tensor, bias: Tensor, relu: bool = False) -> list[Ring]:
        """An operation that is a matrix (C, reads, channels); what it gives may be wider than a frame."""
        parts = zip(weight.split(self.width), bias.split(self.width), strict=True)
        outputs = [Output(Ring(len(part)), rows, part) for rows, part in parts]
        self.add(reads, outputs, relu=relu)
        return [output.ring for output in outputs]

    def columns(self, parts: list[Tensor]) -> Tensor:
        """Matrices (C, channels), one for each frame that is read, as one (C, reads, `width`)."""
        return torch.stack([F.pad(part, (0, self.width - part.shape[1])) for part in parts], dim=1)
