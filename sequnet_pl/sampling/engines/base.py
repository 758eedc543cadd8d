"""The interface of an engine, and the reference: the network's own step, one operator after the other.

Letters: B clips, T time, Q = 256 classes.
"""

import functools
import logging
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from sequnet_pl.audio.mulaw import SILENCE
from sequnet_pl.errors import UserError
from sequnet_pl.models.network import Network, State
from sequnet_pl.models.precision import float32_products
from sequnet_pl.names import WeightType
from sequnet_pl.sampling.draw import SamplingParams, draw

logger = logging.getLogger(__name__)

_STEPS = 16
"""Steps that a new engine is compared over, in which all levels of a Seq-U-Net are due."""
_TOLERANCES: dict[WeightType, float] = {"float32": 1e-3, "bf16": 0.25, "int8": 0.5}
"""Differences beyond rounding, in standard deviations of the logits.

For int8 the bundled piano network had 0.10, and the networks of benchmarks.sampling, untrained, at most 0.04; with
weights twice as large 0.06.
"""


class Block(NamedTuple):
    """A stretch of drawn codes."""

    codes: Tensor  # (B, T) uint8
    nats: Tensor  # (B, T) float32, negative log-likelihood at temperature 1; not finite where the weights are broken


@dataclass
class Session:
    """The position of a generation, from which any engine continues."""

    logits: Tensor  # (B, Q) of the next code
    state: State
    drawn: int = 0  # samples drawn so far


class Engine(Protocol):
    """A way to compute the steps of a network with the weights that it had when the engine was made."""

    name: str

    def sample_block(self, session: Session, uniform: Tensor, params: SamplingParams) -> Block:
        """Draw a code of each clip for each of the uniform numbers (B, T) float64; update the session."""
        ...


class EagerEngine:
    """See Engine. It runs any network, on any device and in any type."""

    name = "eager"

    def __init__(self, network: Network) -> None:
        self.network = network

    @torch.no_grad()
    def sample_block(self, session: Session, uniform: Tensor, params: SamplingParams) -> Block:
        """See Engine."""
        codes = torch.empty(uniform.shape, dtype=torch.uint8, device=uniform.device)
        nats = torch.empty(uniform.shape, dtype=torch.float32, device=uniform.device)
        for index in range(uniform.shape[1]):
            code = draw(session.logits, uniform[:, index], params)
            codes[:, index] = code
            nats[:, index] = F.cross_entropy(session.logits, code, reduction="none")
            session.logits = self.network.step(code, session.state)
            session.drawn += 1
        return Block(codes, nats)


@torch.no_grad()
def checked(engine: Engine, network: Network, weights: WeightType = "float32") -> Engine:
    """Return the engine, which was compared with `network.step` over a few steps. UserError where it fails or differs.

    Logits that are not numbers are left to the check of the samples: the network is broken, not the engine.
    """
    parameter = next(network.parameters())
    rounding = weights if parameter.dtype in (torch.float32, torch.float64) else "bf16"
    code = torch.full((1,), SILENCE, device=parameter.device)
    state = network.silence(1, time=-_STEPS // 2)
    logits = network.step(code, state)
    session = Session(logits.clone(), state.map(torch.clone))
    uniform = torch.linspace(0.01, 0.99, _STEPS, dtype=torch.float64, device=parameter.device).unsqueeze(0)
    try:
        with float32_products(tf32=False):
            codes = engine.sample_block(session, uniform, SamplingParams()).codes
    except RuntimeError as error:  # such as of a step that waits for the GPU, which a graph cannot
        why = str(error).strip().partition("\n")[0]
        raise UserError(f"the {engine.name} engine cannot run {type(network).__name__}.step: {why}") from error
    for code in codes.unbind(1):
        logits = network.step(code.long(), state)
    difference = (session.logits - logits).abs().max()
    if logits.isfinite().all() and not difference <= _TOLERANCES[rounding] * logits.std():
        raise UserError(f"the logits of the {engine.name} engine differ from those of {type(network).__name__}.step")
    return engine


@functools.cache  # once for each text
def warn_once(text: str) -> None:
    """Log a warning, once in a process."""
    logger.warning("%s", text)
