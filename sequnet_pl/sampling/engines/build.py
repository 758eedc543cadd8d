"""Compiled kernels: those in native/ by the user's compiler, and the folder that keeps all of them."""

import ctypes
import functools
import hashlib
import logging
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sequnet_pl.atomic import replacing
from sequnet_pl.errors import UserError

logger = logging.getLogger(__name__)

SOURCES = Path(__file__).parent / "native"
# no fast-math: values that are not numbers must be seen, and sums keep their order
_FLAGS = ["-std=c++17", "-O3", "-march=native", "-ffp-contract=fast", "-fno-math-errno", "-pthread", "-fPIC", "-shared"]


@contextmanager
def compiled(name: str, compile_to: Callable[[Path], object]) -> Iterator[Path]:
    """Give the file of a compiled kernel, which is kept in $XDG_CACHE_HOME/sequnet_pl or ~/.cache/sequnet_pl.

    Without a folder that can be written, the kernel is compiled in a temporary folder, which is removed afterwards.
    """
    folder = _cache_folder()
    target = folder / name if folder else None
    if target and not os.access(target, os.R_OK):
        try:
            logger.info("compiling a kernel, once: %s", target)
            with replacing(target) as temporary:
                compile_to(temporary)
        except UserError as error:
            logger.info("compiling a kernel in a temporary folder: %s", error)
            target = None
    if target:
        yield target
        return
    with tempfile.TemporaryDirectory(prefix="sequnet_pl-") as temporary:
        compile_to(Path(temporary) / name)
        yield Path(temporary) / name


def _cache_folder() -> Path | None:
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sequnet_pl"
    except RuntimeError:  # the user has no home
        return None


@functools.cache
def library() -> ctypes.CDLL | None:
    """Return the compiled CPU kernels; None, and one line in the log, where they cannot be compiled or loaded."""
    try:
        command, name = _command()
        with compiled(name, lambda target: _run([*command, "-o", str(target)])) as file:
            return ctypes.CDLL(str(file))
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        why = str(error).strip().splitlines()
        logger.warning(
            "no compiled CPU kernels, sampling is several times slower: %s (a C++ compiler such as g++ is needed)",
            why[0] if why else type(error).__name__,
        )
        return None


def _command() -> tuple[list[str], str]:
    """Return the command that compiles the kernels, and a file name for this version of them and of the processor."""
    named = os.environ.get("CXX", "").split()  # perhaps with options, or a compiler after a launcher such as ccache
    compilers = [named, ["g++"], ["clang++"], ["c++"]]
    found = [[path, *words[1:]] for words in compilers if words and (path := shutil.which(words[0]))]
    if not found:
        raise RuntimeError("there is no C++ compiler")
    # the macros depend on the compiler's version and on the instructions of the processor
    macros = _run([*found[0], *_FLAGS[:3], "-dM", "-E", "-x", "c++", os.devnull])
    sources = (source.read_text() for source in sorted(SOURCES.iterdir()))
    digest = hashlib.sha256("\n".join((*found[0][1:], *_FLAGS, macros, *sources)).encode()).hexdigest()
    return [*found[0], *_FLAGS, str(SOURCES / "native.cpp")], f"kernels-{digest[:20]}.so"


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "error" in line] or [f"{command[0]} failed"]
        raise RuntimeError(lines[0])
    return done.stdout
