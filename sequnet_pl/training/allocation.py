"""Memory of a training step on a CPU: what is freed goes back to the system, in pages that are quickly there again.

glibc learns from the first large tensors to take up to 32 MB from its heap, where holes stay between what lives long:
a third more memory than is in use. Above a limit of ours every tensor is a mapping of its own, in huge pages, and the
heap keeps for itself what the pieces of a layer (see models/convolution.py) take and give back all the time.
"""

import contextlib
import ctypes
import os

_TRIM, _MAP = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of mallopt
_LIMIT = 8 << 20
"""Bytes, more than pieces take."""


def give_memory_back() -> None:
    """Set up the process; before its first tensor of a few megabytes. What the user's environment sets stays.

    Does nothing where the C library is not glibc.
    """
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # huge pages, as torch looks it up once
    if os.environ.keys() & {"MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"}:
        return
    with contextlib.suppress(AttributeError, OSError):
        library = ctypes.CDLL(None)
        library.gnu_get_libc_version  # noqa: B018 (other libraries have no such name)
        library.mallopt(_MAP, _LIMIT)
        library.mallopt(_TRIM, 8 * _LIMIT)
