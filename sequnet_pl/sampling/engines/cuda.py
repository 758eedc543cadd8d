"""The engine for GPUs: one kernel for a few clips, graphs for many, and where the kernel cannot be had."""

import functools
import logging

import torch
from torch import Tensor

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

Measured on an H100 with the published Seq-U-Net in float32: a sketch of the kernel drew 40,770 samples a second
whatever the number of clips; graphs make 4,711 steps of one clip, so of 8 at most 37,688 samples, and 50,737 of 16.
Between 8 and 16 clips, with the WaveNet and on other GPUs it was not measured.
"""


class CudaEngine:
    """See Engine.

    Args:
        network: What draws many clips.
        kernel: What draws few.
    """

    name = "cuda"

    def __init__(self, network: Network, kernel: Engine) -> None:
        self._network, self._kernel = network, kernel

    @functools.cached_property
    def _graphs(self) -> Engine:
        return GraphsEngine(self._network)

    def draw_block(self, session: Session, uniform: Tensor, drawing: Drawing) -> Block:
        """See Engine."""
        engine = self._kernel if len(uniform) <= FEW_CLIPS else self._graphs
        return engine.draw_block(session, uniform, drawing)


def cuda_engine(network: Network, weights: WeightType, clips: int) -> Engine:
    """The fastest engine for a network on a GPU that draws so many clips at once.

    UsageError where the weights are to be kept in less than float32 and the kernel, which alone can do that, cannot.
    """
    if clips > FEW_CLIPS:
        if weights == "float32":
            return GraphsEngine(network)
        raise UsageError(f"{weights} weights on a GPU are for {FEW_CLIPS} clips at once at most, not {clips}")
    try:
        return CudaEngine(network, kernel_engine(network, weights))
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
        raise ValueError("it runs the two networks in float32, without a norm")
    if weights not in TYPES:
        raise ValueError(f"it has no {weights} weights")
    return PersistentEngine(plan, weights, _gpu(plan.lookup.device))


@functools.cache
def _gpu(device: torch.device) -> Gpu:
    return Gpu(device)


@functools.cache  # once for each reason
def _warn(why: str) -> None:
    logger.warning("no kernel for this GPU, sampling a single clip is several times slower: %s", why)
