"""How much memory something takes at its peak, above what was taken before."""

import contextlib
import ctypes
import gc
import resource
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

import torch

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class PeakMemory:
    """Measures the body of a `with`: of the process, or of a GPU. Where the system cannot forget an old peak, a body
    that stays below it counts as nothing."""

    megabytes = 0.0

    def __init__(self, device: torch.device) -> None:
        self._gpu = device if device.type == "cuda" else None

    def __enter__(self) -> Self:
        gc.collect()
        with contextlib.suppress(AttributeError, OSError):
            ctypes.CDLL(None).malloc_trim(0)  # glibc: what was freed goes back, else it would hide what is new
        if self._gpu:
            torch.cuda.init()  # before which there are no statistics to reset
            torch.cuda.reset_peak_memory_stats(self._gpu)
            self._before = torch.cuda.memory_allocated(self._gpu) / 1e6
        else:
            with contextlib.suppress(OSError):
                _CLEAR.write_text("5")  # Linux: the peak starts again from now
            self._before = self._peak()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.megabytes = self._peak() - self._before

    def _peak(self) -> float:
        if self._gpu:
            return torch.cuda.max_memory_allocated(self._gpu) / 1e6
        if _STATUS.is_file():
            lines = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines())
            return int(lines["VmHWM"].split()[0]) / 1e3
        unit = 1e6 if sys.platform == "darwin" else 1e3
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
