"""The source of the kernel that stays on the GPU, run on a CPU: with all its threads, packets and barriers."""

import ctypes
import functools
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from sequnet_pl.sampling.engines.layout import Layout, Limits, OperationRow, SegmentRow, TargetRow
from sequnet_pl.sampling.engines.persistent import SOURCE, JobStruct, Launch

ROWS = (SegmentRow, TargetRow, OperationRow)
COMPILER = shutil.which("g++")


@functools.cache
def library(constants: tuple[tuple[str, int], ...]) -> ctypes.CDLL:
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "emulator.so"
        macros = [f"-D{name}={value}" for name, value in constants]
        source = Path(__file__).with_name("emulator.cpp")
        # a fortified longjmp aborts where it leads to another stack
        flags = ["-std=c++17", "-O1", "-w", "-fPIC", "-shared", "-U_FORTIFY_SOURCE", f'-DKERNEL="{SOURCE}"', *macros]
        subprocess.run([COMPILER, *flags, source, "-o", target], check=True)
        return ctypes.CDLL(str(target))


class Emulator:
    """See Backend."""

    def __init__(self, blocks: int = 3, shared: int = 200_000, warps: int = 4, held: int = 1, seed: int = 0) -> None:
        self.limits, self.held, self.seed = Limits(blocks, shared, warps, warps), held, seed

    def load(self, layout: Layout) -> Launch:
        # fewer chunks are held than would be, so that the loop over the others is run as well, and all is compiled once
        kernel = library(tuple((layout.constants | {"HELD": self.held}).items()))

        def launch(job: Mapping[str, Tensor | float]) -> None:
            struct = JobStruct.of(job)
            assert ctypes.sizeof(struct) == kernel.job_size()
            assert [kernel.row_size(kind) for kind in range(3)] == [len(row._fields) for row in ROWS]
            assert kernel.emulate(ctypes.byref(struct), layout.blocks, layout.shared, self.seed) == 0

        return launch
