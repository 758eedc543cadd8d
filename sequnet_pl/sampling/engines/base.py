"""What every engine does: draw a block of codes, each with its price, and leave the session after it.

Letters: B clips, T time, Q = 256 classes.
"""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from torch import Tensor

from sequnet_pl.models.network import State
from sequnet_pl.sampling.draw import Drawing


class Block(NamedTuple):
    """A stretch of drawn codes."""

    codes: Tensor  # (B, T) uint8
    nats: Tensor  # (B, T) float32, what each cost under the network itself (temperature 1); not finite: it is broken


@dataclass
class Session:
    """Where a generation stands: enough to go on from there, today or later, with any engine."""

    logits: Tensor  # (B, Q) of the next code
    state: State
    drawn: int = 0  # samples drawn so far


class Engine(Protocol):
    """One way to run a network step by step; made for the weights that the network has then."""

    name: str

    def draw_block(self, session: Session, uniform: Tensor, drawing: Drawing) -> Block:
        """Draw a code of each clip for each of the uniform numbers (B, T) float64; the session goes along."""
        ...
