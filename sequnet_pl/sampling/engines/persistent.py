"""The engine for a GPU: a persistent CUDA kernel, which draws a block of samples of one clip in one launch.

NVRTC compiles it for the GPU at hand at its first use. NVRTC and the driver come with torch's CUDA builds, by way of
cuda.bindings. Letters: B clips, T time, C channels, Q = 256 classes.
"""

import ctypes
import functools
import hashlib
import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from sequnet_pl.audio.mulaw import CLASSES
from sequnet_pl.errors import UsageError, UserError
from sequnet_pl.models.network import Network
from sequnet_pl.names import WeightType
from sequnet_pl.sampling.draw import SamplingParams
from sequnet_pl.sampling.engines.base import Block, Engine, Session, checked, warn_once
from sequnet_pl.sampling.engines.build import compiled
from sequnet_pl.sampling.engines.graphs import GraphsEngine
from sequnet_pl.sampling.engines.layout import TYPES, Layout, Limits, kernel_schedule
from sequnet_pl.sampling.engines.networks import advance, history, of_clips, tensors
from sequnet_pl.sampling.engines.schedule import Schedule

SOURCE = Path(__file__).parent / "persistent" / "kernel.cu"
CAPACITY = 1 << 12
"""Samples that a launch draws at most: a fraction of a second, in which nothing else is done on the GPU."""
FEW_CLIPS = 8
"""Clips up to which the kernel, which draws them one after the other, is faster than graphs.

Measured on an H100 with the published networks in float32, one clip: the kernel draws 39,748 samples of the Seq-U-Net
and 8,524 of the WaveNet a second, whatever the number of clips; graphs make 4,857 and 1,159 steps, so of 8 clips at
most 38,856 and 9,272 samples; 50,737 of 16. In between, and on other GPUs, it was not measured.
"""

Launch = Callable[[Mapping[str, Tensor | float]], None]
"""Begin to run the kernel on a job, given by the fields of JobStruct."""

_pointer, _int32 = ctypes.c_void_p, ctypes.c_int32


class JobStruct(ctypes.Structure):
    """The argument of the kernel, as in persistent/kernel.cu."""

    _fields_ = [
        *((name, _pointer) for name in ("table", "weights", "biases", "lookup", "lookup_bias", "packets", "uniform")),
        *((name, _pointer) for name in ("history", "codes", "logits", "failed")),
        ("temperature", ctypes.c_double),
        ("top_p", ctypes.c_double),
        ("top_k", _int32),
        ("time", ctypes.c_uint32),
        *((name, _int32) for name in ("samples", "kernel", "channels")),
        *((name, _int32) for name in ("operations", "targets", "order", "patterns", "segments")),
        *((name, _int32) for name in ("pattern_count", "table_size", "fills", "fill_count", "input", "frames_size")),
    ]

    @classmethod
    def of(cls, values: Mapping[str, Tensor | float]) -> "JobStruct":
        """Return a job; tensors are given by their addresses, which must stay valid."""
        return cls(**{name: v.data_ptr() if isinstance(v, Tensor) else v for name, v in values.items()})


class Backend(Protocol):
    """A device that runs the kernel."""

    limits: Limits

    def load(self, layout: Layout) -> Launch:
        """Return the kernel for networks of this layout. RuntimeError where it cannot be compiled."""
        ...


class PersistentEngine:
    """See Engine. Clips are drawn one after the other, and what a clip draws does not depend on the others.

    Args:
        plan: Of the network, see `kernel_schedule`; later changes to its weights are not seen.
        weights: Type that the weights are kept in; bf16 is faster and changes the logits a little.
        backend: The device.

    Raises:
        ValueError: The network does not fit.
        RuntimeError: The kernel cannot be compiled.
    """

    name = "cuda"

    def __init__(self, plan: Schedule, weights: WeightType, backend: Backend) -> None:
        self._layout = layout = Layout(plan, weights, backend.limits)
        self._launch = backend.load(layout)
        device = plan.lookup.device
        kernel_size, _, channels = plan.lookup.shape
        self._constants: dict[str, Tensor | float] = {
            "table": layout.table.to(device),
            "weights": layout.weights,
            "biases": layout.biases,
            "lookup": plan.lookup.detach().float().contiguous().clone(),
            "kernel": kernel_size,
            "channels": channels,
            **layout.numbers,
        }
        self._input_biases = plan.lookup_biases.detach().float().clone()
        self._frame, self._channel = layout.frame.to(device), layout.channel.to(device)
        self._packets = torch.empty(layout.packets, 2, dtype=torch.int32, device=device)  # bits of the value, index
        self._failed = torch.zeros(1, dtype=torch.int32, device=device)

    @torch.no_grad()
    def sample_block(self, session: Session, uniform: Tensor, params: SamplingParams) -> Block:
        """See Engine. UserError where the kernel does not end."""
        pieces = [self._draw(session, piece, params) for piece in uniform.split(CAPACITY, dim=1)]
        return Block(torch.cat([piece.codes for piece in pieces], dim=1), torch.cat([p.nats for p in pieces], dim=1))

    def _draw(self, session: Session, uniform: Tensor, params: SamplingParams) -> Block:
        state, (clips, samples) = session.state, uniform.shape
        parts, after = tensors(state), []
        codes = torch.zeros(clips, samples, dtype=torch.uint8, device=uniform.device)
        logits = torch.empty(clips, samples + 1, CLASSES, device=uniform.device)
        logits[:, 0] = session.logits
        before, biases = history(state), of_clips(self._input_biases, state, clips)
        job = self._constants | {"failed": self._failed, "packets": self._packets, "samples": samples}
        job |= {"temperature": params.temperature, "top_k": params.top_k, "top_p": params.top_p}
        job["time"] = self._layout.time(state.time)
        first, indices = self._packets_at(state.time)
        last, _ = self._packets_at(state.time + samples)
        for clip in range(clips):
            self._packets.zero_()  # no packet of an earlier launch may be taken for one of this
            self._packets[first, 0] = torch.cat([part[clip].flatten() for part in parts]).float().view(torch.int32)
            self._packets[first, 1] = indices
            own = {"history": before[clip], "codes": codes[clip], "logits": logits[clip], "lookup_bias": biases[clip]}
            self._launch(job | own | {"uniform": uniform[clip].contiguous()})
            if self._failed.item():
                self._failed.zero_()
                raise UserError("the kernel got stuck on the GPU, which is a defect; --engine graphs does without it")
            after.append(self._packets[last, 0].view(torch.float32))
        # only now, so that an interrupt leaves the session as it was
        values = torch.stack(after).split([part[0].numel() for part in parts], dim=1)
        for part, value in zip(parts, values, strict=True):
            part.copy_(value.view_as(part))
        advance(state, codes)
        session.logits = logits[:, -1].to(session.logits.dtype)
        session.drawn += samples
        nats = F.cross_entropy(logits[:, :-1].flatten(0, 1), codes.flatten().long(), reduction="none")
        return Block(codes, nats.view(clips, samples))

    def _packets_at(self, time: int) -> tuple[Tensor, Tensor]:
        """Return for each number of a state of that time its packet, and the index of its frame."""
        begins, indices = (values.to(self._frame.device) for values in self._layout.frames(time))
        return begins[self._frame] + self._channel, indices[self._frame].int()


class CudaEngine:
    """See Engine. The kernel draws few clips, graphs draw many.

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

    def sample_block(self, session: Session, uniform: Tensor, params: SamplingParams) -> Block:
        """See Engine. UsageError for many clips with weights that graphs do not have."""
        engine = self._kernel if is_few(len(uniform), self._weights) else self._graphs
        return engine.sample_block(session, uniform, params)


def is_few(clips: int, weights: WeightType) -> bool:
    """Return whether the kernel draws this many clips. UsageError for many with weights that graphs do not have."""
    if clips > FEW_CLIPS and weights != "float32":
        raise UsageError(f"{weights} weights on a GPU are for {FEW_CLIPS} clips at once at most, not {clips}")
    return clips <= FEW_CLIPS


def cuda_engine(network: Network, weights: WeightType, clips: int, required: bool = False) -> Engine:
    """Return the fastest engine for a network on a GPU and a number of clips at once.

    Args:
        network: On the GPU.
        weights: Type that the weights are kept in.
        clips: At once.
        required: Whether a few clips need the kernel; else graphs replace it.

    Raises:
        UsageError: The kernel, which alone has less than float32, or which is required, cannot be used.
    """
    if not is_few(clips, weights):
        return checked(GraphsEngine(network), network)
    try:
        return CudaEngine(network, checked(kernel_engine(network, weights), network, weights), weights)
    except (ImportError, RuntimeError, UserError, ValueError) as error:
        why = str(error).strip().partition("\n")[0]
        if weights != "float32":
            raise UsageError(f"{weights} weights on a GPU need its kernel, and {why}; take float32 weights") from error
        if required:
            raise UsageError(f"--engine cuda needs the kernel, and {why}; take --engine graphs") from error
        if not isinstance(error, ValueError):
            warn_once(f"no kernel for this GPU, sampling a single clip is several times slower: {why}")
        return checked(GraphsEngine(network), network)


def kernel_engine(network: Network, weights: WeightType) -> Engine:
    """Return the kernel. ValueError where it does not suit the network, other errors where it cannot be had."""
    plan = kernel_schedule(network)
    if plan is None or any(parameter.dtype != torch.float32 for parameter in network.parameters()):
        raise ValueError("it computes SeqUNet without state-space blocks and WaveNet in float32")
    if weights not in TYPES:
        raise ValueError(f"it has no {weights} weights")
    return PersistentEngine(plan, weights, _device(plan.lookup.device))


@functools.cache
def _device(device: torch.device) -> Backend:
    return CudaDevice(device)


def _call(function: Any, *arguments: Any) -> Any:
    """Return what a function of cuda.bindings returns besides its status. RuntimeError where that is not success."""
    status, *values = function(*arguments)
    if int(status):
        raise RuntimeError(f"{function.__name__}: {getattr(status, 'name', status)}")
    return values[0] if values else None


def compile_kernel(nvrtc: ModuleType, constants: Mapping[str, int], architecture: str) -> bytes:
    """Return the kernel for a GPU such as `sm_90`, by `cuda.bindings.nvrtc`. RuntimeError with the compiler's error."""
    program = _call(nvrtc.nvrtcCreateProgram, SOURCE.read_bytes(), SOURCE.name.encode(), 0, [], [])
    options = [f"--gpu-architecture={architecture}", "--std=c++17"]
    options += [f"--define-macro={name}={value}" for name, value in constants.items()]
    try:
        _call(nvrtc.nvrtcCompileProgram, program, len(options), [option.encode() for option in options])
        cubin = bytearray(_call(nvrtc.nvrtcGetCUBINSize, program))
        _call(nvrtc.nvrtcGetCUBIN, program, cubin)
    except RuntimeError as error:
        log = bytearray(_call(nvrtc.nvrtcGetProgramLogSize, program))
        _call(nvrtc.nvrtcGetProgramLog, program, log)
        lines = [line for line in log.decode(errors="replace").splitlines() if "error" in line]
        raise RuntimeError(lines[0] if lines else str(error)) from error
    return bytes(cubin)


class CudaDevice:
    """See Backend. RuntimeError or ImportError where a GPU cannot run such kernels here."""

    def __init__(self, device: torch.device) -> None:
        # not there with torch's builds for CPUs
        driver = importlib.import_module("cuda.bindings.driver")
        nvrtc = importlib.import_module("cuda.bindings.nvrtc")
        self._driver, self._nvrtc, self._device = driver, nvrtc, device
        properties = torch.cuda.get_device_properties(device)
        self._architecture = f"sm_{properties.major}{properties.minor}"
        attributes = driver.CUdevice_attribute
        number = torch.cuda.current_device() if device.index is None else device.index
        handle = _call(driver.cuDeviceGet, number)

        def attribute(name: str) -> int:
            return _call(driver.cuDeviceGetAttribute, getattr(attributes, f"CU_DEVICE_ATTRIBUTE_{name}"), handle)

        if not attribute("COOPERATIVE_LAUNCH"):
            raise RuntimeError("this GPU has no cooperative launch")
        shared = attribute("MAX_SHARED_MEMORY_PER_BLOCK_OPTIN")
        self.limits = Limits(properties.multi_processor_count, shared)
        self._kernels: dict[tuple[tuple[str, int], ...], Any] = {}

    def load(self, layout: Layout) -> Launch:
        """See Backend; compiled kernels are kept in the user's cache folder."""
        driver = self._driver
        with torch.cuda.device(self._device):
            kernel = self._kernel(tuple(layout.constants.items()))
            limit = driver.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
            _call(driver.cuFuncSetAttribute, kernel, limit, layout.shared)

        def launch(job: Mapping[str, Tensor | float]) -> None:
            struct = JobStruct.of(job)
            arguments = (ctypes.c_void_p * 1)(ctypes.addressof(struct))
            sizes = (layout.blocks, 1, 1, layout.threads, 1, 1, layout.shared)
            with torch.cuda.device(self._device):
                stream = torch.cuda.current_stream().cuda_stream
                try:  # all blocks at once or none: they wait for each other
                    _call(driver.cuLaunchCooperativeKernel, kernel, *sizes, stream, ctypes.addressof(arguments))
                except RuntimeError as error:
                    raise UserError(f"the GPU refuses the kernel ({error}); --engine graphs does without it") from error

        return launch

    def _kernel(self, constants: tuple[tuple[str, int], ...]) -> Any:
        """Return the compiled kernel on the GPU, where it stays."""
        if constants not in self._kernels:
            key = repr((SOURCE.read_text(), sorted(constants), self._architecture, self._nvrtc.nvrtcVersion()))
            name = f"kernel-{hashlib.sha256(key.encode()).hexdigest()[:20]}.cubin"

            def compile_to(target: Path) -> None:
                target.write_bytes(compile_kernel(self._nvrtc, dict(constants), self._architecture))

            with compiled(name, compile_to) as file:
                module = _call(self._driver.cuModuleLoadData, file.read_bytes())
            self._kernels[constants] = _call(self._driver.cuModuleGetFunction, module, b"sample")
        return self._kernels[constants]
