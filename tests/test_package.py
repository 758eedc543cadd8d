"""What is installed is all that there is: every package, every config, the list of recordings, and two commands."""

import importlib.util
import json
import os
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SETUPTOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]

NOTEBOOK = ROOT / "notebooks" / "first_steps.ipynb"
EXECUTE = """
import pathlib, sys, nbclient, nbformat
pathlib.Path("notebooks").mkdir()
notebook = nbformat.reads(sys.stdin.read(), as_version=4)
nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": "notebooks"}}).execute()
print(nbformat.writes(notebook))
"""
"""Runs a notebook as if it lay in notebooks/, in the environment of this Python, and prints it with its outputs."""

_SMALL = (
    "--levels 3 --features 2 --depth 1 --kernel_size 3 --output_size 256 --batch_size 1 --hop_size 2000 --max_steps 3 "
    "--gpus 0 --sample_audio.every_n_steps 0 --logger none --name run"
)


def test_every_package_is_named() -> None:
    folders = {path.parent.relative_to(ROOT) for path in (ROOT / "sequnet_pl").rglob("__init__.py")}
    mapped = set(SETUPTOOLS["package-dir"])
    assert set(SETUPTOOLS["packages"]) == {".".join(folder.parts) for folder in folders} | mapped


@pytest.mark.skipif(not (ROOT / ".git").exists() or not shutil.which("git"), reason="not a git checkout")
def test_every_file_that_is_no_code_is_named() -> None:
    def tracked(folder: Path) -> set[Path]:
        listed = subprocess.run(["git", "ls-files", folder], cwd=ROOT, check=True, capture_output=True, text=True)
        return {ROOT / name for name in listed.stdout.splitlines()}

    for package, patterns in SETUPTOOLS["package-data"].items():
        folder = ROOT / SETUPTOOLS["package-dir"].get(package, package)
        named = {path for pattern in patterns for path in folder.glob(pattern)}
        needed = {path for path in tracked(folder) if path.suffix not in (".py", ".md")}
        assert needed <= named <= tracked(folder), package


@pytest.fixture(scope="module", params=["wheel", "editable"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Runs a command line in a folder of its own, where the project is installed, and gives what it prints."""
    if not importlib.util.find_spec("pip"):
        pytest.skip("pip is not installed")
    folder = tmp_path_factory.mktemp(request.param)
    source, environment = folder / "source", folder / "environment"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "train.py", "sample.py"):
        shutil.copy(ROOT / name, source)
    for name in ("sequnet_pl", "configs", "data"):
        ignored = shutil.ignore_patterns("__pycache__", "recordings", "codes")
        shutil.copytree(ROOT / name, source / name, ignore=ignored)
    (source / "data" / "recordings").mkdir()
    (source / "data" / "recordings" / "mine.csv").write_text("not to be packed")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    (packages,) = environment.glob("lib/python*/site-packages")
    others = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    (packages / "others.pth").write_text("\n".join(others))
    if request.param == "wheel":
        build = "import setuptools.build_meta; print(setuptools.build_meta.build_sdist('.'))"
        subprocess.run([sys.executable, "-c", build], cwd=source, check=True, capture_output=True)
        words = [next(source.glob("*.tar.gz"))]
    else:
        words = ["-e", source]
    pip = [sys.executable, "-m", "pip", "--python", environment / "bin" / "python", "install", "--no-deps"]
    pip += ["--no-build-isolation", "--no-index", "--ignore-installed", "--quiet", *words]
    subprocess.run(pip, cwd=folder, check=True)
    if request.param == "wheel":
        shutil.rmtree(source)
    place = folder / "place"
    place.mkdir()
    path = f"{environment / 'bin'}{os.pathsep}{os.environ['PATH']}"

    def run(line: str, stdin: str = "") -> str:
        variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"PATH": path}
        words = shlex.split(line)
        done = subprocess.run(words, cwd=place, env=variables, input=stdin, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.mark.slow
def test_installed_files_are_all_there(run: Callable[..., str]) -> None:
    root = Path(run("python -c 'from sequnet_pl.project import ROOT; print(ROOT)'").strip())
    assert not root.is_relative_to(ROOT)
    configs = [path.relative_to(ROOT) for path in (ROOT / "configs").rglob("*.yaml")]
    assert {path.relative_to(root) for path in (root / "configs").rglob("*.yaml")} == set(configs)
    assert (root / "data" / "piano.csv").read_bytes() == (ROOT / "data" / "piano.csv").read_bytes()
    if root.name == "shipped":
        assert [path.name for path in (root / "data").rglob("*.csv")] == ["piano.csv"]
    assert "  sequnet-train --config configs/demo.yaml  " in run("sequnet-train --help")
    assert "usage: sequnet-sample [options]" in run("sequnet-sample --help")
    run("sequnet-sample --pretrained piano --seconds 0.01 --gpus 0")
    (clip,) = json.loads(run("cat generated/001-piano/clips.json"))["clips"]
    assert clip["kind"] == "continuation" and "001-piano/index.html" in run("cat generated/index.html")
    assert run("find . -name data") == ""  # the excerpts are in the package: no recordings are made


@pytest.mark.slow
def test_commands_train_in_two_processes_test_and_sample(run: Callable[..., str], audio_folder: Path) -> None:
    printed = run(f"sequnet-train --config configs/demo.yaml --trainer.devices 2 --audio_dir {audio_folder} {_SMALL}")
    _, _, test = printed.splitlines()[-1].partition("test with: ")
    assert " on 2 CPU, " in printed
    assert test.startswith("sequnet-train test --ckpt_path logs/sequnet/run/checkpoints/last.ckpt")  # none is best yet
    assert "details: " in run(test)
    run("sequnet-sample --conditional 1 --seconds 0.01 --gpus 0")
    (folder,) = run("find generated -name '*-run'").split()
    (clip,) = json.loads(run(f"cat {folder}/clips.json"))["clips"]
    assert clip["command"].startswith("sequnet-sample --ckpt_path ")
    run(clip["command"])
    (trained,) = json.loads(run("cat logs/sequnet/run/run.json"))["commands"]
    assert trained.startswith("sequnet-train --config configs/demo.yaml --trainer.devices 2 ")


@pytest.mark.slow
@pytest.mark.parametrize("run", ["wheel"], indirect=True)
def test_the_notebook_trains_and_shows_sound_and_the_report(run: Callable[..., str]) -> None:
    pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    steps, fewer = "--max_steps 800", "--max_steps 5"
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert steps in text
    executed = json.loads(run(shlex.join(["python", "-c", EXECUTE]), text.replace(steps, fewer)))
    shown = [output for cell in executed["cells"] for output in cell.get("outputs", [])]
    pages = ["".join(output["data"]["text/html"]) for output in shown if "text/html" in output.get("data", {})]
    assert sum("<audio" in page and "data:audio/" in page for page in pages) == 5
    assert "<iframe srcdoc=" in pages[-1]
    assert "logged until step 5" in pages[-1]


def test_the_notebook_is_small_and_holds_no_outputs() -> None:
    text = NOTEBOOK.read_text(encoding="utf-8")
    cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    assert cells
    assert not any(cell["outputs"] or cell["execution_count"] for cell in cells)
    assert len(text) < 10_000
