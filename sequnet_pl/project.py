"""The project around the package, in a clone and installed: its files that are no code, its commands."""

import shlex
import sys
from pathlib import Path

_PACKAGE = Path(__file__).parent
_CLONE = _PACKAGE.parent
_SHIPPED = _PACKAGE / "shipped"  # where pyproject.toml maps folders of the clone
_COMMAND = "sequnet-"

ROOT = _SHIPPED if _SHIPPED.is_dir() else _CLONE
"""The folder that holds `configs/` and `data/piano.csv`."""
CONFIGS = ROOT / "configs"
"""The published networks and training, and others of ours."""


def program(name: str) -> str:
    """Name of `train` or `sample`: the script of a clone, or the command of an installed package."""
    installed = _is_command(sys.argv[0]) or not (_CLONE / f"{name}.py").is_file()
    return f"{_COMMAND}{name}" if installed else f"{name}.py"


def command(name: str, *words: object) -> str:
    """A command line of `train` or `sample` for a shell; words with what a shell reads otherwise are quoted."""
    called = program(name)
    return shlex.join([*([] if _is_command(called) else ["python"]), called, *map(str, words)])


def this_command() -> str:
    """The command line of this process, as a shell takes it again."""
    words = sys.orig_argv[1:]
    if words and _is_command(words[0]):
        return shlex.join([Path(words[0]).name, *words[1:]])
    return shlex.join(["python", *words])


def _is_command(path: str) -> bool:
    return Path(path).name.startswith(_COMMAND)
