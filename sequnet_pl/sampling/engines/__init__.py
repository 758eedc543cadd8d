"""Ways to run a network step by step, behind one interface; the fastest that fits is chosen where none is named."""

from typing import get_args

from sequnet_pl.errors import UsageError
from sequnet_pl.models.network import Network
from sequnet_pl.names import EngineName, WeightType
from sequnet_pl.sampling.engines import native
from sequnet_pl.sampling.engines.base import Block, Engine, Session
from sequnet_pl.sampling.engines.build import library
from sequnet_pl.sampling.engines.cuda import cuda_engine
from sequnet_pl.sampling.engines.eager import EagerEngine
from sequnet_pl.sampling.engines.graphs import GraphsEngine

__all__ = ["Block", "Engine", "Session", "engine_for"]


def engine_for(network: Network, name: EngineName = "auto", weights: WeightType = "float32", clips: int = 1) -> Engine:
    """Make an engine for a network with the weights that it has now.

    Args:
        network: Any of the networks; call `eval()` first where that matters to it.
        name: `eager`, the reference; `native`, compiled for this CPU, for float32; for networks on a GPU `cuda`, which
            is a kernel for few clips and otherwise `graphs`; `auto` takes the fastest that can run this network here.
        weights: `bf16`, for `native` and the kernel of `cuda`, or `int8`, for `native`, is quicker and changes the
            logits a little.
        clips: That will be drawn at once at most, as far as it is known.

    Raises:
        UsageError: The name or the type is unknown, or the engine cannot run this network here.
    """
    for value, known in ((name, get_args(EngineName)), (weights, get_args(WeightType))):
        if value not in known:
            raise UsageError(f"{value!r} is unknown; choose from {', '.join(known)}")
    on_gpu = next(network.parameters()).device.type == "cuda"
    if name in ("cuda", "graphs") and not on_gpu:
        raise UsageError(f"the {name} engine needs a network on a GPU; choose another, or move the network there")
    if name == "native" or (name == "auto" and native.supports(network)):
        if not native.supports(network):
            raise UsageError("the native engine needs a float32 network on the CPU; choose another engine")
        if kernels := library():
            return native.NativeEngine(network, weights, kernels)
        if name == "native" or weights != "float32":
            raise UsageError("the native engine needs a C++ compiler such as g++; install one or take the eager engine")
    if on_gpu and name in ("auto", "cuda") and weights != "int8":
        return cuda_engine(network, weights, clips)
    if weights != "float32":
        fit = "the cuda engine or " if weights == "bf16" else ""
        raise UsageError(f"{weights} weights need {fit}the native engine, which runs float32 networks on the CPU")
    return GraphsEngine(network) if name == "graphs" else EagerEngine(network)
