"""Ways to run a network step by step, behind one interface; the fastest that fits is chosen where none is named."""

from typing import get_args

from sequnet_pl.errors import UsageError
from sequnet_pl.models.network import Network
from sequnet_pl.names import EngineName, WeightType
from sequnet_pl.sampling.engines import native
from sequnet_pl.sampling.engines.base import Block, Engine, Session
from sequnet_pl.sampling.engines.build import library
from sequnet_pl.sampling.engines.cuda import CudaEngine
from sequnet_pl.sampling.engines.eager import EagerEngine

__all__ = ["Block", "Engine", "Session", "engine_for"]


def engine_for(network: Network, name: EngineName = "auto", weights: WeightType = "float32") -> Engine:
    """Make an engine for a network with the weights that it has now.

    Args:
        network: Any of the networks; call `eval()` first where that matters to it.
        name: `eager`, the reference; `native`, compiled for this CPU, for float32; `cuda`, for networks on a GPU;
            `auto` takes the fastest that can run this network here.
        weights: Only for `native`: `bf16` or `int8` is quicker and changes the logits a little.

    Raises:
        UsageError: The name or the type is unknown, or the engine cannot run this network here.
    """
    for value, known in ((name, get_args(EngineName)), (weights, get_args(WeightType))):
        if value not in known:
            raise UsageError(f"{value!r} is unknown; choose from {', '.join(known)}")
    on_gpu = next(network.parameters()).device.type == "cuda"
    if name == "cuda" and not on_gpu:
        raise UsageError("the cuda engine needs a network on a GPU; choose another engine, or move the network there")
    if name == "native" or (name == "auto" and native.supports(network)):
        if not native.supports(network):
            raise UsageError("the native engine needs a float32 network on the CPU; choose another engine")
        if kernels := library():
            return native.NativeEngine(network, weights, kernels)
        if name == "native" or weights != "float32":
            raise UsageError("the native engine needs a C++ compiler such as g++; install one or take the eager engine")
    if weights != "float32":
        raise UsageError(f"{weights} weights need the native engine, which runs float32 networks on the CPU")
    return CudaEngine(network) if on_gpu and name in ("auto", "cuda") else EagerEngine(network)
