"""The engine for GPUs: one kernel for a few clips, graphs for many, and where the kernel cannot be had."""

import functools
import logging

import torch
from torch import Tensor

from sequnet_pl.audio.mulaw import SILENCE
from sequnet_pl.errors import UsageError, UserError
from sequnet_pl.models.network import Network
from sequnet_pl.names import WeightType
from sequnet_pl.sampling.draw import Drawing
from sequnet_pl.sampling.engines.base import Block, Engine, Session
from sequnet_pl.sampling.engines.gpu import Gpu
from sequnet_pl.sampling.engines.graphs import GraphsEngine
from sequnet_pl.sampling.engines.layout import TYPES
from sequnet_pl.sampling.engines.persistent import PersistentEngine
from sequnet_pl.sampling.engines.schedules import schedule

logger = logging.getLogger(__name__)

FEW_CLIPS = 8
"""Clips up to which the kernel, which draws them one after the other, is the quicker.

Measured on an H100 with the published networks in float32, one clip: the kernel draws 39,748 samples of the Seq-U-Net
and 8,524 of the WaveNet a second, whatever the number of clips; graphs make 4,857 and 1,159 steps, so of 8 clips at
most 38,856 and 9,272 samples; 50,737 of 16. In between, and on other GPUs, it was not measured.
"""


_TRIED = 16
"""Steps that a new kernel is compared with the network over, in which all levels of a Seq-U-Net tick."""
_FAR = {"float32": 1e-3, "bf16": 0.25}
"""Differences that mean something else than rounding, in standard deviations of the logits."""


def _is_few(clips: int, weights: WeightType) -> bool:
    """Whether the kernel is to draw so many. UsageError for many with weights that graphs do not have."""
    if clips > FEW_CLIPS and weights != "float32":
        raise UsageError(f"{weights} weights on a GPU are for {FEW_CLIPS} clips at once at most, not {clips}")
    return clips <= FEW_CLIPS


class CudaEngine:
    """See Engine.

    Args:
        network: What draws many clips.
        kernel: What draws few.
        weights: Type in which the kernel keeps the weights.
    """

    name = "cuda"

    def __init__(self, network: Network, kernel: Engine, weights: WeightType) -> None:
        self._network, self._kernel = network, kernel
        self._weights: WeightType = weights

    @functools.cached_property
    def _graphs(self) -> Engine:
        return GraphsEngine(self._network)

    def draw_block(self, session: Session, uniform: Tensor, drawing: Drawing) -> Block:
        """See Engine."""
        engine = self._kernel if _is_few(len(uniform), self._weights) else self._graphs
        return engine.draw_block(session, uniform, drawing)


def cuda_engine(network: Network, weights: WeightType, clips: int) -> Engine:
    """The fastest engine for a network on a GPU that draws so many clips at once.

    UsageError where the weights are to be kept in less than float32 and the kernel, which alone can do that, cannot.
    """
    if not _is_few(clips, weights):
        return GraphsEngine(network)
    try:
        kernel = kernel_engine(network, weights)
        _try(kernel, network, weights)
        return CudaEngine(network, kernel, weights)
    except (ImportError, RuntimeError, UserError, ValueError) as error:
        why = str(error).strip().partition("\n")[0]
        if weights != "float32":
            raise UsageError(f"{weights} weights on a GPU need its kernel, and {why}; take float32 weights") from error
        if not isinstance(error, ValueError):
            _warn(why)
        return GraphsEngine(network)


def kernel_engine(network: Network, weights: WeightType) -> Engine:
    """The kernel. ValueError where it does not suit the network, other errors where it cannot be had."""
    plan = schedule(network)
    if plan is None or any(parameter.dtype != torch.float32 for parameter in network.parameters()):
        raise ValueError("it runs the two networks in float32")
    if weights not in TYPES:
        raise ValueError(f"it has no {weights} weights")
    return PersistentEngine(plan, weights, _gpu(plan.lookup.device))


@torch.no_grad()
def _try(kernel: Engine, network: Network, weights: WeightType) -> None:
    """Raise RuntimeError where the kernel does not compute on this GPU what the network does."""
    state = network.silence(1, time=-_TRIED // 2)
    code = torch.full((1,), SILENCE, device=next(network.parameters()).device)
    logits = network.step(code, state)
    session = Session(logits, state.map(torch.clone))
    uniform = torch.linspace(0.01, 0.99, _TRIED, dtype=torch.float64, device=code.device).unsqueeze(0)
    for drawn in kernel.draw_block(session, uniform, Drawing()).codes.unbind(1):
        logits = network.step(drawn.long(), state)
    if not (session.logits - logits).abs().max() <= _FAR[weights] * logits.std():  # NaN is far too
        raise RuntimeError("its logits are not the network's on this GPU")


@functools.cache
def _gpu(device: torch.device) -> Gpu:
    return Gpu(device)


@functools.cache  # once for each reason
def _warn(why: str) -> None:
    logger.warning("no kernel for this GPU, sampling a single clip is several times slower: %s", why)
