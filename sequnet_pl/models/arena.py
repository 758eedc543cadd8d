"""Room for what layers compute on a CPU: one mapping, packed from its start, whose pages stay for the next step.

A heap mixes what lives for a step with what lives for a piece of a layer (see convolution.py): a third of it are holes.
To map each large tensor by itself costs page faults in every step, a fifth of the time of a WaveNet.
"""

import mmap
import os
import sys
import threading
import weakref
from collections import deque
from contextlib import suppress
from functools import cache
from math import prod

import torch
from torch import Tensor

_LEAST, _ALIGNMENT = 1 << 18, 1 << 12
"""Bytes: what is smaller is left to torch; and what tensors here begin at a multiple of."""
_WIPE_ON_FORK = 18
"""MADV_WIPEONFORK of Linux: a process that loads data has its own, empty; a copy would double each page written to."""


class Arena:
    """Tensors in the first gap that is large enough; their room is free again when the last view of them is gone.

    Args:
        size: Bytes of address space. Memory is taken as it is first written to, and kept.

    Raises OSError where the system does not promise that much.
    """

    def __init__(self, size: int) -> None:
        mapping = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        for advice in (mmap.MADV_HUGEPAGE, _WIPE_ON_FORK):
            with suppress(OSError):  # of kernels that do not know it
                mapping.madvise(advice)
        self._room = memoryview(mapping)
        self._gaps = [(0, size)]  # from, to; in order, none beside another
        self._returned: deque[tuple[int, int]] = deque()  # a tensor can be let go at any time, even within `empty`
        self._lock = threading.Lock()

    def empty(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor | None:
        """An uninitialized tensor; None where no gap is large enough."""
        count = prod(shape)
        size = -(-count * dtype.itemsize // _ALIGNMENT) * _ALIGNMENT
        with self._lock:
            if self._returned:
                self._merge()
            for index, (start, stop) in enumerate(self._gaps):
                if stop - start >= size:
                    self._gaps[index] = (start + size, stop)  # an empty gap goes with the next merge
                    break
            else:
                return None
        room = self._room[start : start + size]
        weakref.finalize(room, self._returned.append, (start, start + size)).atexit = False
        return torch.frombuffer(room, dtype=dtype, count=count).view(shape)

    def _merge(self) -> None:
        gaps = self._gaps
        while self._returned:
            gaps.append(self._returned.popleft())
        gaps.sort()
        merged = [gaps[0]]
        for start, stop in gaps[1:]:
            if start == merged[-1][1]:
                merged[-1] = (merged[-1][0], stop)
            elif stop > start:
                merged.append((start, stop))
        self._gaps = merged


@cache
def _arena() -> Arena | None:
    """As large as the machine's memory, where the system maps without taking."""
    if sys.platform != "linux":
        return None
    with suppress(OSError, ValueError):
        return Arena(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return None


def empty(like: Tensor, *shape: int) -> Tensor:
    """An uninitialized, contiguous tensor of this shape, and of the type and on the device of `like`."""
    small = prod(shape) * like.element_size() < _LEAST
    if small or not like.is_cpu or torch.compiler.is_compiling() or not (arena := _arena()):
        return like.new_empty(shape)
    found = arena.empty(shape, like.dtype)
    return like.new_empty(shape) if found is None else found
