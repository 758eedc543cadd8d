"""One step of a network as a list of operations between rings of frames, for the C++ engine and for the CUDA kernel.

A ring holds the frames of a layer. An operation reads frames of rings, some of them in the past, and writes frames to
others: sums of matrix products or the response of a recurrence, then an activation, then frames that are added.
`networks.py` describes the networks. Letters: B clips, C channels, F frames, H channels of a recurrence, K kernel, N
states of a channel as complex conjugate pairs, Q = 256 classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from sequnet_pl.models.layers import RMSNorm, bias_of

Activation = Literal["none", "gate", "glu", "gelu"]
"""With the halves f and g of the rows, `gate` is tanh(f) * sigmoid(g) and `glu` is f * sigmoid(g)."""


@dataclass(eq=False)
class Ring:
    """The frames of a layer, one every 2^shift samples; a frame's index is its time >> shift.

    Attributes:
        width: Channels of a frame.
        shift: Log2 of the samples between two frames.
        norm: An RMSNorm or LayerNorm, whose frames are read; anything else is none.
        raw: Of normalised frames: the ring of the frames before the normalisation.
        max_lag: Frames that the oldest frame that is read lies back.
        relu: Whether what is read is rectified.
    """

    width: int
    shift: int = 0
    norm: nn.Module | None = None
    raw: "Ring | None" = field(init=False, default=None)
    max_lag: int = 0
    relu: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.norm, RMSNorm | nn.LayerNorm):
            self.raw = Ring(self.width, self.shift)

    @property
    def written(self) -> "Ring":
        """The ring that a layer writes to."""
        return self.raw or self


class Recurrence(NamedTuple):
    """x' = decay x + gain u, y = Re(output x) + direct u in each channel, of the frame u that is read first.

    The states are 2N frames of a ring that do not move: real and imaginary parts alternate.
    """

    states: Ring
    decay: Tensor  # (H, N), complex
    gain: Tensor  # (H, N), complex
    output: Tensor  # (H, N), complex
    direct: Tensor  # (H,)


class Output(NamedTuple):
    """A frame that an operation writes: for each frame that is read a matrix (C, channels), or None for zeros.

    A gated output has matrices of 2C rows. `ahead` counts frames after that of the operation.
    """

    ring: Ring
    weights: Sequence[Tensor | None]
    bias: Tensor
    activation: Activation = "none"
    ahead: int = 0
    recurrence: Recurrence | None = None

    @property
    def gated(self) -> bool:
        """True if there are two rows per channel."""
        return self.activation in ("gate", "glu")


class Read(NamedTuple):
    """A frame that an operation reads, `lag` frames back."""

    ring: Ring
    lag: int


@dataclass(eq=False)
class Operation:
    """Operation on some frames, computed every 2^shift samples.

    Attributes:
        reads: Of normalised frames the newest first.
        added: Numbers of the frames that are added to what is written, as they were before their normalisation.
    """

    reads: list[Read]
    outputs: list[Output]
    shift: int = 0
    added: Sequence[int] = ()


class Frames(NamedTuple):
    """The frames of a ring that a tensor of a state holds, in channels of the tensor from number `first` on.

    `window` has the newest frames, `rotating` the newest by index modulo their number, from index `offset` on. `ahead`
    has those that are known early: after the last index that is a multiple of `group`. `fixed` are those from 0 on.
    """

    ring: Ring
    frames: int
    kind: Literal["window", "rotating", "ahead", "fixed"] = "window"
    first: int = 0
    offset: int = 0
    group: int = 1

    def indices(self, time: int) -> NDArray[np.int64]:
        """Indices (F,) of the frames at a time of the state."""
        now, numbers = time >> self.ring.shift, np.arange(self.frames)
        if self.kind == "rotating":
            return now - (now - self.offset - numbers) % self.frames
        if self.kind == "ahead":
            return now - now % self.group + 1 + numbers
        return numbers if self.kind == "fixed" else now - self.frames + 1 + numbers


@dataclass
class Schedule:
    """All steps of a network.

    Attributes:
        input: The ring of the input convolution.
        lookup: Weights (K, Q, C) of the input convolution.
        lookup_biases: Its bias for each label (1 + labels, C); the first for no label.
        operations: In the order in which they may run.
        patterns: The operations of a step, by how often its time can be divided by two (the last: so often or more).
        frames: Of a state: the number of a tensor among `tensors`, and what it holds.
    """

    input: Ring
    lookup: Tensor
    lookup_biases: Tensor
    operations: list[Operation] = field(default_factory=list)
    patterns: list[list[int]] = field(default_factory=list)
    frames: list[tuple[int, Frames]] = field(default_factory=list)

    def add(self, reads: list[Read], outputs: list[Output], shift: int = 0, added: Sequence[int] = ()) -> int:
        """Add an operation; return its number."""
        for ring, lag in reads:
            ring.max_lag = max(ring.max_lag, lag)
        self.operations.append(Operation(reads, outputs, shift, added))
        return len(self.operations) - 1

    def add_linear(self, reads: Sequence[Read], weights: Sequence[Tensor], bias: Tensor, widest: int) -> list[Ring]:
        """Add an operation without a gate; return what it writes, cut to rings of at most `widest` channels."""
        outputs = []
        for first in range(0, len(bias), widest):
            rows = slice(first, first + widest)
            outputs.append(Output(Ring(len(bias[rows])), [weight[rows] for weight in weights], bias[rows]))
        self.add(list(reads), outputs)
        return [output.ring for output in outputs]

    def add_head(self, rings: list[Ring], layers: Sequence[nn.Conv1d | nn.Linear], widest: int) -> None:
        """Add the layers to the logits; each reads rectified frames."""
        for layer in layers:
            for ring in rings:
                ring.relu = True
            weights = layer.weight.flatten(1).split([ring.width for ring in rings], dim=1)
            rings = self.add_linear([Read(ring, 0) for ring in rings], weights, bias_of(layer), widest)
