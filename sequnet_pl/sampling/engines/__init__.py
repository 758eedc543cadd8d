"""Engines, which compute the steps of a network, and the choice of the fastest that can run it."""

from typing import get_args

import torch

from sequnet_pl.errors import UsageError, UserError
from sequnet_pl.models.network import Network
from sequnet_pl.names import EngineName, WeightType
from sequnet_pl.sampling.engines.base import Block, EagerEngine, Engine, Session, checked, warn_once
from sequnet_pl.sampling.engines.build import library
from sequnet_pl.sampling.engines.graphs import GraphsEngine
from sequnet_pl.sampling.engines.native import NativeEngine
from sequnet_pl.sampling.engines.persistent import cuda_engine

__all__ = ["Block", "EagerEngine", "Engine", "Session", "engine_for"]


def engine_for(network: Network, name: EngineName = "auto", weights: WeightType = "float32", clips: int = 1) -> Engine:
    """Make an engine for a network with its present weights, and compare it with `network.step`.

    Args:
        network: Any network; call `eval()` first where that matters to it.
        name: `eager`, the reference; `native`, C++ for float32 on the CPU; for networks on a GPU `cuda`, which is a
            kernel for few clips and otherwise `graphs`; `auto` takes the fastest that can run this network here, and
            falls back to `eager`, which is logged.
        weights: `bf16`, for `native` and the kernel of `cuda`, or `int8`, for `native`, is faster and changes the
            logits a little.
        clips: That will be drawn at once at most, as far as it is known.

    Raises:
        UsageError: The name or the type is unknown, or the engine cannot run this network here.
    """
    for value, known in ((name, get_args(EngineName)), (weights, get_args(WeightType))):
        if value not in known:
            raise UsageError(f"{value!r} is unknown; choose from {', '.join(known)}")
    parameters = list(network.parameters())
    on_gpu = parameters[0].device.type == "cuda"
    if name in ("cuda", "graphs") and not on_gpu:
        raise UsageError(f"the {name} engine needs a network on a GPU; choose another, or move the network there")
    if weights != "float32" and (name in ("eager", "graphs") or (on_gpu and weights == "int8")):
        fit = "the cuda engine or " if weights == "bf16" else ""
        raise UsageError(f"{weights} weights need {fit}the native engine, which runs float32 networks on the CPU")
    suits_cpu = not on_gpu and all(parameter.dtype == torch.float32 for parameter in parameters)
    if (name == "native" or weights != "float32") and not (on_gpu and name != "native") and not suits_cpu:
        raise UsageError("the native engine needs a float32 network on the CPU; choose another engine")
    if name == "eager" or not (on_gpu or suits_cpu):
        return EagerEngine(network)
    try:
        if name == "graphs":
            return checked(GraphsEngine(network), network)
        if on_gpu:
            return cuda_engine(network, weights, clips, required=name == "cuda")
        if kernels := library():
            return checked(NativeEngine(network, weights, kernels), network, weights)
    except UsageError:
        raise
    except UserError as error:
        if name != "auto" or weights != "float32":
            raise UsageError(f"{error}; take --engine eager, with float32 weights") from error
        warn_once(f"sampling by the eager engine, several times slower: {error}")
        return EagerEngine(network)
    if name == "native" or weights != "float32":
        raise UsageError("the native engine needs a C++ compiler such as g++; install one or take the eager engine")
    return EagerEngine(network)
