"""Large tensors are mappings of their own, in huge pages, unless the user's environment says otherwise."""

import os
import platform
import subprocess
import sys

import pytest

COUNT = """
import ctypes
from sequnet_pl.training.allocation import give_memory_back
give_memory_back()
import os
library = ctypes.CDLL(None)
names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()
class Counts(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in names]
library.mallinfo2.restype = Counts
library.malloc.restype, library.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
library.malloc.argtypes = [ctypes.c_size_t]
library.free(library.malloc(30 << 20))  # from which glibc would learn to take as much from its heap
before = library.mallinfo2().hblkhd
library.malloc(10 << 20)
print(library.mallinfo2().hblkhd > before, os.environ["THP_MEM_ALLOC_ENABLE"])
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no such settings")
@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "True 1"),
        ({"MALLOC_MMAP_THRESHOLD_": str(20 << 20), "THP_MEM_ALLOC_ENABLE": "0"}, "False 0"),
    ],
)
def test_large_tensors_are_mapped(environment, expected):
    names = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES", "THP_MEM_ALLOC_ENABLE")
    cleared = {name: value for name, value in os.environ.items() if name not in names}
    done = subprocess.run([sys.executable, "-c", COUNT], env=cleared | environment, capture_output=True, text=True)
    assert done.stdout.strip() == expected, done.stderr
