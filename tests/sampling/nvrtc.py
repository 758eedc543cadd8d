"""The functions of `cuda.bindings.nvrtc` that are used, on the library of nvidia-cuda-nvrtc alone."""

import ctypes
import functools
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace


@functools.cache
def nvrtc() -> SimpleNamespace | None:
    """None where the package is not installed."""
    spec = find_spec("nvidia")
    places = spec.submodule_search_locations or [] if spec else []
    found = [path for place in places for path in sorted(Path(place).glob("cu13/lib/libnvrtc*.so.13*"))]
    found = {path.name.partition(".so")[0]: ctypes.CDLL(str(path)) for path in found if ".alt" not in path.name}
    if "libnvrtc" not in found:
        return None
    library = found["libnvrtc"]

    def create(source, name, *_):
        program = ctypes.c_void_p()
        return library.nvrtcCreateProgram(ctypes.byref(program), source, name, 0, None, None), program

    def compile_program(program, count, options):
        return (library.nvrtcCompileProgram(program, count, (ctypes.c_char_p * count)(*options)),)

    def size(name):
        def function(program):
            number = ctypes.c_size_t()
            return getattr(library, name)(program, ctypes.byref(number)), number.value

        return function

    def fill(name):
        return lambda program, buffer: (
            getattr(library, name)(program, (ctypes.c_char * len(buffer)).from_buffer(buffer)),
        )

    functions = {"nvrtcCreateProgram": create, "nvrtcCompileProgram": compile_program}
    functions |= {name: size(name) for name in ("nvrtcGetCUBINSize", "nvrtcGetProgramLogSize")}
    functions |= {name: fill(name) for name in ("nvrtcGetCUBIN", "nvrtcGetProgramLog")}
    return SimpleNamespace(**functions)
