"""Compiles the kernels in native/ with the user's compiler, once for each version of them and kind of processor."""

import ctypes
import functools
import hashlib
import logging
import os
import shutil
import subprocess
from pathlib import Path

from sequnet_pl.atomic import replacing
from sequnet_pl.errors import UserError

logger = logging.getLogger(__name__)

SOURCES = Path(__file__).parent / "native"
# no fast-math: not-a-number must be seen, and sums keep their order
_FLAGS = ["-std=c++17", "-O3", "-march=native", "-ffp-contract=fast", "-fno-math-errno", "-pthread", "-fPIC", "-shared"]


def cache_folder() -> Path:
    """Where compiled kernels are kept: below XDG_CACHE_HOME, or ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sequnet_pl"


@functools.cache
def library() -> ctypes.CDLL | None:
    """The compiled kernels; None, and one line in the log, where they cannot be had here."""
    try:
        return ctypes.CDLL(str(_compiled()))
    except (OSError, UserError, RuntimeError, subprocess.SubprocessError) as error:
        why = str(error).strip().splitlines()
        logger.warning(
            "no compiled CPU kernels, sampling is several times slower: %s (a C++ compiler such as g++ is needed)",
            why[0] if why else type(error).__name__,
        )
        return None


def _compiled() -> Path:
    named = os.environ.get("CXX", "").split()
    found = [path for name in (*named[:1], "g++", "clang++", "c++") if (path := shutil.which(name))]
    if not found:
        raise RuntimeError("there is no C++ compiler")
    compiler = found[0]
    sources = sorted(SOURCES.iterdir())
    # the macros tell the compiler's version and all that the processor can do
    macros = _run([compiler, *_FLAGS[:3], "-dM", "-E", "-x", "c++", os.devnull])
    digest = hashlib.sha256("\n".join((*_FLAGS, macros, *(source.read_text() for source in sources))).encode())
    target = cache_folder() / f"kernels-{digest.hexdigest()[:20]}.so"
    if not target.exists():
        logger.info("compiling the CPU kernels, once: %s", target)
        with replacing(target) as temporary:
            _run([compiler, *_FLAGS, str(SOURCES / "native.cpp"), "-o", str(temporary)])
    return target


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "error" in line] or [f"{command[0]} failed"]
        raise RuntimeError(lines[0])
    return done.stdout
