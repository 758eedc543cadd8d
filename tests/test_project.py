"""The files around the package agree with each other: versions, commands, names."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import sequnet_pl

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DOCUMENTS = [
    *(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "ARCHITECTURE")),
    *(ROOT / "docs").glob("*.md"),
]
BROUGHT_BY_TORCH = re.compile(r"nvidia-|cuda-|triton")  # its CUDA build pins them, its CPU build has none

needs_make = pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
needs_bash = pytest.mark.skipif(not shutil.which("bash"), reason="bash is not installed")


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


def requirements() -> list[Requirement]:
    optional = [text for extra in PROJECT["optional-dependencies"].values() for text in extra]
    return [Requirement(text) for text in PROJECT["dependencies"] + optional]


def targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize("requirement", requirements(), ids=str)
def test_dependency_is_pinned_within_its_range(requirement: Requirement) -> None:
    names = {canonicalize_name(name): version for name, version in pins().items()}
    assert requirement.specifier.contains(names[canonicalize_name(requirement.name)])


def test_each_pin_is_one_plain_version() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = [line for line in lines if not line.startswith("#")]
    assert [line for line in pinned if not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == []  # no builds like +cpu either
    names = [canonicalize_name(line.split("==")[0]) for line in pinned]
    assert names == sorted(set(names))


def test_whatever_gets_installed_is_pinned() -> None:
    pinned = {canonicalize_name(name) for name in pins()}
    assert {name for name in installed_closure() if not BROUGHT_BY_TORCH.match(name)} <= pinned


def installed_closure() -> set[str]:
    """Names of what the package and its extras need here, directly or not."""
    seen: set[tuple[str, frozenset[str]]] = set()
    todo = requirements()
    while todo:
        requirement = todo.pop()
        key = (canonicalize_name(requirement.name), frozenset(requirement.extras))
        if key not in seen:
            seen.add(key)
            todo.extend(needs_of(*key))
    return {name for name, _ in seen}


def needs_of(name: str, extras: frozenset[str]) -> Iterator[Requirement]:
    try:
        texts = importlib.metadata.requires(name) or []
    except importlib.metadata.PackageNotFoundError:
        return  # an extra that this environment lacks
    for requirement in map(Requirement, texts):
        if not requirement.marker or any(requirement.marker.evaluate({"extra": extra}) for extra in extras | {""}):
            yield requirement


def test_conda_takes_its_versions_from_the_constraints() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    python, *rest = environment["dependencies"]
    assert rest == ["pip", {"pip": ["-c constraints.txt", "-e ."]}]
    assert python == "python=" + PROJECT["requires-python"].removeprefix(">=")


def test_documents_name_targets_that_exist() -> None:
    for path in (*DOCUMENTS, ROOT / "CHANGELOG.md", ROOT / ".ci" / "run", ROOT / ".pre-commit-config.yaml"):
        text = path.read_text()
        named = re.findall(r"`make ([a-z -]+)", text) + re.findall(
            r"^ *make ([a-z -]+?) *(?:#.*)?$", text, re.MULTILINE
        )
        assert {target for words in named for target in words.split()} <= targets(), path.name


def test_makefile_names_files_that_exist() -> None:
    named = re.findall(r"[\w/]+\.(?:py|yaml|txt|toml)\b", (ROOT / "Makefile").read_text())
    assert {"train.py", "sample.py", "configs/demo.yaml", "constraints.txt"} <= set(named)
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_no_file_names_a_package_index() -> None:
    for name in ("Makefile", "constraints.txt", "environment.yml", "pyproject.toml", ".ci/run"):
        assert not re.search(r"https?://|--(extra-)?index-url", (ROOT / name).read_text()), name


def test_hooks_are_local() -> None:
    repositories = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert [repository["repo"] for repository in repositories] == ["local"]


def test_changelog_knows_the_version() -> None:
    assert sequnet_pl.__version__ in (ROOT / "CHANGELOG.md").read_text()


@needs_bash
def test_ci_script_is_sound() -> None:
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    subprocess.run(["bash", "-n", ROOT / ".ci" / "run"], check=True)


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    outer = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "PYTHONS")  # these tests may run under make themselves
    environment = {name: value for name, value in os.environ.items() if name not in outer}
    return subprocess.run(["make", *arguments], cwd=folder, env=environment, capture_output=True, text=True)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


@pytest.fixture
def fake_python(tmp_path: Path) -> Path:
    """An interpreter that makes environments, pip and all, of nothing but itself, and logs what is installed."""
    path = tmp_path / "fake-python"
    path.write_text(
        f"""#!{shutil.which("bash")}
        echo "$*"
        case "$*" in
            -c*) exec "{sys.executable}" "$@" ;;
            "-m venv"*) mkdir -p "{tmp_path}/.venv/bin" && cp "$0" "{tmp_path}/.venv/bin/python" ;;
            "-m pip install"*) echo "$*" >> "{tmp_path}/log" ;;
        esac"""
    )
    path.chmod(0o755)
    return path


@needs_make
def test_help_lists_all_targets(copy: Path) -> None:
    listed = make(copy).stdout
    assert set(re.findall(r"^make ([a-z-]+) ", listed, re.MULTILINE)) == targets()


@needs_make
@needs_bash
def test_set_up_runs_once_and_again_when_versions_change(copy: Path, fake_python: Path) -> None:
    log = copy / "log"
    for _ in range(2):
        assert make(copy, "setup", f"PYTHONS=no-such-python {fake_python}").returncode == 0
        assert log.read_text() == "-m pip install -c constraints.txt -e .[dev]\n"
    later = log.stat().st_mtime + 10
    os.utime(copy / "constraints.txt", (later, later))
    assert make(copy, "setup").returncode == 0
    assert len(log.read_text().splitlines()) == 2


@needs_make
@needs_bash
def test_the_demo_plays_what_comes_with_the_package_before_it_trains(copy: Path, fake_python: Path) -> None:
    def played() -> list[bool]:
        run = make(copy, "demo", f"PYTHONS={fake_python}")
        assert run.returncode == 0, run.stderr
        *lines, last = run.stdout.splitlines()
        assert f"{copy}/generated" in last
        return ["--pretrained piano" in line for line in lines if re.match(r"(sample|train).py", line)]

    assert played() == [False] * 4
    assert (copy / "log").read_text() == "-m pip install -c constraints.txt -e .\n"  # no tools for development
    weights = copy / "sequnet_pl" / "pretrained" / "piano" / "weights.ckpt"
    weights.parent.mkdir(parents=True)
    weights.touch()
    assert played() == [True, *[False] * 4]


@needs_make
def test_no_fitting_python_is_one_clear_line(copy: Path) -> None:
    run = make(copy, "setup", "PYTHONS=no-such-python false")
    line = run.stderr.splitlines()[0]
    assert run.returncode != 0
    assert line.startswith("No Python 3.11 or newer")
    assert "no-such-python false" in line
