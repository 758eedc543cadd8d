"""Peak memory of something, above what was taken before."""

import contextlib
import ctypes
import gc
from pathlib import Path
from typing import Self

import torch


class PeakMemory:
    """Measures the body of a `with`: of the process (on Linux), or of a GPU."""

    megabytes = 0.0

    def __init__(self, device: torch.device) -> None:
        self._gpu = device if device.type == "cuda" else None

    def __enter__(self) -> Self:
        gc.collect()
        if self._gpu:
            torch.cuda.init()  # before which there are no statistics to reset
            torch.cuda.reset_peak_memory_stats(self._gpu)
            self._before = torch.cuda.memory_allocated(self._gpu) / 1e6
        else:
            with contextlib.suppress(AttributeError, OSError):
                ctypes.CDLL(None).malloc_trim(0)  # glibc: what was freed goes back, else it would hide what is new
            with contextlib.suppress(OSError):
                Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from now
            self._before = self._peak()
        return self

    def __exit__(self, *_: object) -> None:
        self.megabytes = self._peak() - self._before

    def _peak(self) -> float:
        if self._gpu:
            return torch.cuda.max_memory_allocated(self._gpu) / 1e6
        try:
            lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        except OSError:
            return 0.0  # another system
        return int(lines["VmHWM"].split()[0]) / 1e3
