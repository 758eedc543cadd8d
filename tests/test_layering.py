"""The import rules of ARCHITECTURE.md: layers import downwards, and there are no cycles."""

import ast
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "sequnet_pl"

_GROUND = {"sequnet_pl", "errors", "names", "atomic", "interrupts", "printing", "processes", "progress", "project"}
_GROUND |= {"limits", "models.registry"}  # names of networks, without torch
_DATA = {"data", "data.store", "data.download", "data.builtin"}
_OPTIONS = {"cli.sample_options", "cli.evaluate_options"}
_JOBS = {"sampling.jobs", "sampling.load", "evaluate.run"}
"""What the commands do with their options; above training, whose checkpoints they load."""
_BELOW_JOBS = _GROUND | {"pretrained", "audio", "data", "data.store", "models", "report"}
_BELOW_JOBS |= {"sampling", "evaluate", "training"}
LAYERS = {  # each with the layers that it may import from, besides itself
    "sequnet_pl": {"interrupts"},
    "interrupts": set(),
    "errors": set(),
    "limits": set(),
    "names": set(),
    "models.registry": {"errors", "models"},  # imports the classes only where they are asked for
    "atomic": {"errors"},
    "printing": set(),
    "processes": set(),
    "progress": set(),
    "pretrained": _GROUND,
    "project": set(),
    "audio": _GROUND,
    "data.store": _GROUND | {"audio"},
    "data.download": _GROUND | {"audio"},
    "data.builtin": _GROUND,
    "models": _GROUND | {"audio"},
    "data": _GROUND | _DATA | {"audio", "models"},
    "report": _GROUND,
    "sampling": _GROUND | {"audio", "data.store", "models", "report"},
    "evaluate": _GROUND | {"audio", "data.store", "models", "report", "sampling"},
    **dict.fromkeys(_JOBS, _BELOW_JOBS | _JOBS | _OPTIONS),
    "training": _GROUND | _DATA | {"pretrained", "audio", "models", "report", "sampling"},
    "cli.sample_options": _GROUND | {"audio", "pretrained", "cli"},  # torch-free: read before torch is imported
    "cli.evaluate_options": _GROUND | {"audio", "evaluate", "cli", "cli.sample_options"},
    "cli": _BELOW_JOBS | _DATA | _JOBS | _OPTIONS,
}
_HEAVY = {"torch", "librosa", "pytorch_lightning", "lightning_fabric"}
ABSENT = {  # libraries that a layer does without
    **dict.fromkeys(("pretrained", "audio", "data.store", "data.download", "data.builtin"), _HEAVY),
    "models": {"pytorch_lightning", "lightning_fabric"},
    "sampling": {"pytorch_lightning", "lightning_fabric"},
}


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def layer_of(module: str) -> str:
    return max(
        (layer for layer in LAYERS if f"{module}.".startswith(f"sequnet_pl.{layer}.")), key=len, default="sequnet_pl"
    )


@cache
def imported(module: str) -> frozenset[str]:
    """What a file names in its imports, wherever in it they stand: modules of ours, and whatever others have."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"{module} imports from where it stands itself"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(map(_existing, names))


def _existing(name: str) -> str:
    """`sequnet_pl.errors` for `sequnet_pl.errors.UserError`."""
    while name.startswith("sequnet_pl.") and name not in MODULES:
        name = name.rpartition(".")[0]
    return name


def ours(module: str) -> set[str]:
    return {name for name in imported(module) if name in MODULES}


def is_command(module: str) -> bool:
    return module.endswith(".__main__")


PAGES = {"sequnet_pl.report.run", "sequnet_pl.report.compare"}
"""Modules that make a page, and are the commands for it."""


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_down(module: str) -> None:
    layer = layer_of(module)
    allowed = LAYERS[layer] | {layer}
    if is_command(module):
        allowed |= {"cli", "training", "evaluate.run", "sampling.load"}
    allowed |= {"cli"} if module in PAGES else set()
    assert {name for name in ours(module) if layer_of(name) not in allowed} == set()
    libraries = {name.split(".")[0] for name in imported(module)}
    assert not libraries & ABSENT.get(layer, set())


def test_every_folder_is_in_a_layer() -> None:
    assert {module for module in MODULES if layer_of(module) == "sequnet_pl"} == {"sequnet_pl"}


def test_no_circles() -> None:
    order = list(TopologicalSorter({module: ours(module) for module in MODULES}).static_order())  # else CycleError
    assert set(order) == set(MODULES)


def test_command_lines_are_apart_and_nobody_imports_one() -> None:
    for module, path in MODULES.items():
        conditions = [ast.unparse(node.test) for node in ast.parse(path.read_text()).body if isinstance(node, ast.If)]
        runs = any("__name__" in condition for condition in conditions)
        assert runs == (is_command(module) or module in PAGES), f"{module}: commands are in a __main__.py"
        assert not any(is_command(name) for name in ours(module)), module
