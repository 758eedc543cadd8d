"""The kernel that stays on the GPU, compiled by NVRTC for the GPU at hand, at first use, and launched.

Both libraries come with torch's CUDA builds, by way of cuda.bindings; on machines without them nothing here is called.
"""

import ctypes
import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from sequnet_pl.atomic import replacing
from sequnet_pl.errors import UserError
from sequnet_pl.sampling.engines.build import cache_folder
from sequnet_pl.sampling.engines.layout import Layout, Limits
from sequnet_pl.sampling.engines.persistent import Launch
from sequnet_pl.sampling.engines.rows import JobStruct

logger = logging.getLogger(__name__)

SOURCE = Path(__file__).parent / "persistent" / "kernel.cu"


def _call(function: Any, *arguments: Any) -> Any:
    """What a function of cuda.bindings gives besides its status. RuntimeError where this is not success."""
    status, *values = function(*arguments)
    if int(status):
        raise RuntimeError(f"{function.__name__}: {getattr(status, 'name', status)}")
    return values[0] if values else None


def compile_kernel(nvrtc: ModuleType, constants: Mapping[str, int], architecture: str) -> bytes:
    """The kernel for a GPU such as `sm_90`, by `cuda.bindings.nvrtc`. RuntimeError with what the compiler says."""
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


class Gpu:
    """See Processor. RuntimeError or ImportError where a GPU cannot run such kernels here."""

    def __init__(self, device: torch.device) -> None:
        # not there with torch's builds for CPUs
        from cuda.bindings import driver, nvrtc  # pyright: ignore[reportMissingImports]

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
        """See Processor; compiled kernels are kept in the user's cache folder."""
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
        """The compiled kernel on the GPU, where it stays."""
        if constants not in self._kernels:
            module = _call(self._driver.cuModuleLoadData, self._cubin(dict(constants)))
            self._kernels[constants] = _call(self._driver.cuModuleGetFunction, module, b"sample")
        return self._kernels[constants]

    def _cubin(self, constants: Mapping[str, int]) -> bytes:
        version = self._nvrtc.nvrtcVersion()
        key = repr((SOURCE.read_text(), sorted(constants.items()), self._architecture, version))
        target = cache_folder() / f"kernel-{hashlib.sha256(key.encode()).hexdigest()[:20]}.cubin"
        if not target.exists():
            logger.info("compiling a kernel for the GPU, once: %s", target)
            cubin = compile_kernel(self._nvrtc, constants, self._architecture)
            with replacing(target) as temporary:
                temporary.write_bytes(cubin)
        return target.read_bytes()
