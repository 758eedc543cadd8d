"""Every command of README and docs/ runs, here with small networks and little to do, or has its reason in a list."""

import gzip
import pkgutil
import re
import runpy
import shlex
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SCRIPTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
TEXT = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)

_LITTLE = (
    "--gpus 0 --output_size 256 --batch_size 2 --hop_size 9000 --max_steps 2 --num_workers 0 --logger none "
    "--sample_audio.seconds 0.01"
)
_SEQUNET = f"{_LITTLE} --levels 3 --features 4 --depth 1 --kernel_size 3"
_WAVENET = f"{_LITTLE} --layers 3 --blocks 2 --dilation_channels 4 --residual_channels 4 --skip_channels 4"
_SHORT = "--gpus 0 --seconds 0.01"
RUN = {
    "python train.py --help": "",
    "python train.py --config configs/demo.yaml --print_config": "",
    "python train.py --config configs/sequnet_fast.yaml --gpus 1 --audio_dir music": _SEQUNET,
    "python train.py --model wavenet --gpus 0 --audio_dir music --max_steps 20": _WAVENET,
    "python train.py --model sequnet --gpus 1 --audio_dir music": _SEQUNET,
    "python train.py --model sequnet --ckpt_path last": "--max_steps 3",
    "python train.py test --ckpt_path last": "",
    "python train.py --init_from CHECKPOINT --audio_dir music": _LITTLE,
    "python train.py --config configs/demo.yaml --audio_dir music --gpus 0": f"{_SEQUNET} --last.every_n_steps 0",
    "python train.py fit --help": "",
    "python sample.py --help": "",
    "sequnet-train --config configs/demo.yaml --audio_dir music": _SEQUNET,
    "sequnet-train": "--help",
    "python sample.py": _SHORT,
    "sequnet-sample": _SHORT,
    "python sample.py --pretrained piano": _SHORT,
    "python sample.py --pretrained piano --batch_size 4 --seconds 4": f"{_SHORT} --batch_size 1",
    "python sample.py --conditional 1 --batch_size 4": f"{_SHORT} --batch_size 2",
    "python sample.py --prompt song.mp3 --prompt_start 30 --seconds 5": f"{_SHORT} --prompt_start 0.5",
    "python sample.py --ckpt_path best --temp 0.8 0.9 1.0 --batch_size 4 --num_batches 2": f"{_SHORT} --batch_size 1",
    "python -m sequnet_pl.evaluate": "--gpus 0 --clips 4 --seconds 0.3",
    "python -m sequnet_pl.evaluate --ckpt_path best --clips 64 --seconds 2 --temp 0.9": "--gpus 0 --seconds 0.3",
    "python -m sequnet_pl.evaluate --clips_dir clips --audio_dir recordings": "--clips 4 --seconds 0.3",
    "python -m sequnet_pl.report.run FOLDER": "",
    "python -m sequnet_pl.report.compare logs": "",
    "python -m sequnet_pl.data.store info|list|verify FOLDER": "",
    "python -m sequnet_pl.data.download --dry-run": "--help",  # tests/data covers the requests
}
"""Commands in the order in which they run, and the words that make them quick."""

_LABELS = "tests/train/test_labels_of_runs.py runs it"
NOT_RUN = {
    "python train.py --model my_networks.MLP ": "tests/test_extending.py runs it",
    "python train.py test --model my_networks.MLP ": "tests/test_extending.py runs it",
    "python sample.py --model my_networks.MLP ": "tests/test_extending.py runs it",
    "make demo": "installs packages; tests/test_project.py compares it with what is run here",
    "git clone ": "needs the address, which the project's files do not have",
    "python3 -m venv ": "installs packages",
    "source ": "changes the shell",
    "pip install ": "installs packages",
    "conda ": "needs conda; tests/test_project.py reads the file",
    "wandb ": "needs an account; tests/test_sweeps.py is the agent",
    "python train.py --config configs/demo.yaml --gpus 0": "takes minutes; `make demo` runs it",
    "python train.py test --ckpt_path last --gpus 0": "follows the one before; runs without --gpus 0",
    "python sample.py --conditional 1 --batch_size 4 --gpus 0": "follows the one before; runs without --gpus 0",
    "python train.py --ckpt_path last": "runs with --model",
    "python train.py --model sequnet --print_config": "tests/test_settings.py runs it",
    "python train.py test --ckpt_path last --score_labels all": _LABELS,
    "python train.py --config configs/demo.yaml --audio_dir music --labels folder ": _LABELS,
    "python sample.py --label ": _LABELS,
    "python train.py --config configs/finetune.yaml ": "takes minutes; tests/cli/test_init_from.py runs a smaller one",
    "python train.py --model sequnet --gpus ": "needs GPUs; tests/training/test_processes.py runs processes",
    "torchrun ": "needs GPUs; tests/training/test_processes.py runs it on CPU processes",
    "srun ": "needs SLURM; tests/training/test_processes.py sets its variables",
    "python train.py --cuda ": "needs a GPU; tests/train/test_train.py runs a smaller one",
    "python sample.py --cuda ": "needs a GPU; tests/sampling runs a smaller one",
    "python sample.py --stdout wav ": "needs a sound device; tests/sampling reads the pipe",
    "python -m sequnet_pl.evaluate --pretrained ": "takes a minute; runs with a checkpoint",
    "python sample.py --pretrained sequnet": "needs a download; tests/pretrained/test_archive.py serves one",
    "python -m sequnet_pl.data.download --limit ": "needs a download; tests/data/download/test_download.py serves one",
    "python -m sequnet_pl.data.store list": "is in the line with info|list|verify",
    "python -m sequnet_pl.models.published convert ": "tests/training/test_snapshots.py runs it",
    "python -m sequnet_pl.pretrained ": "tests/training/test_export.py runs it",
    "python -m benchmarks.": "takes minutes or needs a GPU; tests/benchmarks and tests/sampling/test_benchmark.py run "
    "smaller ones",
    "OMP_NUM_THREADS=1 python -m benchmarks.": "takes up to an hour; tests/benchmarks runs a smaller one",
}
"""Starts of commands that are not run here, and why."""


def commands() -> set[str]:
    """All command lines of the pages, in blocks and in sentences, without their comments."""
    fence = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
    blocks = [text for language, text in fence.findall(TEXT) if not language]
    found = [line.partition("  #")[0].strip() for block in blocks for line in block.splitlines() if line.strip()]
    prose = fence.sub("", TEXT)
    found += [
        " ".join(text.split())
        for text in re.findall(r"`((?:(?:python|make|conda|pip|wandb|torchrun|srun)\s|sequnet-)[^`]*)`", prose)
    ]
    return set(found)


def test_every_command_is_run_or_says_why_not() -> None:
    assert set(RUN) <= commands()
    others = commands() - set(RUN)
    assert [command for command in others if not command.startswith(tuple(NOT_RUN))] == []
    assert [start for start in NOT_RUN if not any(command.startswith(start) for command in others)] == []


def test_the_tests_that_are_named_exist() -> None:
    for reason in NOT_RUN.values():
        for name in re.findall(r"tests/[\w/]+(?:\.py)?", reason):
            assert (ROOT / name).exists(), name


@pytest.mark.parametrize("name", sorted(set(re.findall(r"benchmarks\.(\w+)", "\n".join(commands())))))
def test_the_options_of_benchmark_commands_exist(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [f"benchmarks.{name}", "--help"])
    with pytest.raises(SystemExit):
        runpy.run_module(f"benchmarks.{name}", run_name="__main__")
    known = set(re.findall(r"--\w+", capsys.readouterr().out))
    lines = [command for command in commands() if f"benchmarks.{name}" in command]
    assert set(re.findall(r"--\w+", " ".join(lines))) <= known


def music(path: Path, seconds: float) -> None:
    time = np.arange(round(16_000 * seconds)) / 16_000
    pitch = np.repeat(np.random.default_rng(len(path.name)).choice([220, 277, 330, 440], 100), len(time) // 100 + 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * pitch[: len(time)] * time) * np.exp(-4 * (time % 0.25)), 16_000)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all that the commands name."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "configs").symlink_to(ROOT / "configs")
    for name in ("music/train/one", "music/train/two", "music/val/three", "music/test/four", "recordings/five"):
        music(folder / f"{name}.wav", 2.5)
    for number in range(4):
        music(folder / "clips" / f"{number}.wav", 0.5)
    music(folder / "song.mp3", 2)
    return folder


def variants(command: str, place: Path) -> list[str]:
    """The command with a real folder, and one for each of its alternatives."""
    if "store info|list|verify" in command:
        store = next((place / "data" / "codes").glob("music-*/index.json")).parent
        return [command.replace("info|list|verify", word).replace("FOLDER", str(store)) for word in ("info", "verify")]
    runs = sorted((place / "logs" / "sequnet").glob("*"))
    command = command.replace("CHECKPOINT", str(runs[-1] / "checkpoints" / "last.ckpt") if runs else "")
    return [command.replace("FOLDER", str(runs[-1])) if "FOLDER" in command else command]


def test_commands_do_what_they_say(place: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture) -> None:
    monkeypatch.chdir(place)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for command, more in RUN.items():
        for line in variants(command, place):
            program, *words = shlex.split(f"{line} {more}".replace("--gpus 1", "--gpus 0"))
            module = words.pop(0) == "-m" if words[:1] == ["-m"] else False
            name = program if program in SCRIPTS else words.pop(0)
            monkeypatch.setattr(sys, "argv", [name, *words])
            with pytest.raises(SystemExit) as end:
                if name in SCRIPTS:
                    sys.exit(pkgutil.resolve_name(SCRIPTS[name])())
                elif module:
                    runpy.run_module(name, run_name="__main__", alter_sys=True)
                else:
                    runpy.run_path(str(ROOT / name), run_name="__main__")
            captured = capfd.readouterr()
            assert not end.value.code, f"{line} {more}\n{captured.err}"
    torch.set_num_threads(threads)
    assert len(list((place / "generated").glob("*/*.wav"))) == 13
    assert (place / "generated" / "index.html").is_file()
    for run in (place / "logs").glob("*/*"):
        assert (run / "report.html").is_file()


def test_python_of_the_pages_runs(tmp_path: Path, audio_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One block after the other, with a small checkpoint where one is named, short clips and few steps."""
    (tmp_path / "music").symlink_to(audio_folder)
    checkpoint = tmp_path / "last.ckpt"
    checkpoint.write_bytes(gzip.decompress((ROOT / "tests/fixtures/checkpoints/sequnet-2.ckpt.gz").read_bytes()))
    blocks = re.findall(r"^```python\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
    code = "\n".join(blocks).replace("logs/sequnet/my-run/checkpoints/last.ckpt", str(checkpoint))
    names: dict[str, Any] = {}
    monkeypatch.chdir(tmp_path)
    for written, quick in (("32_000", "3_000"), ("seconds=2.0", "seconds=0.1"), ("max_steps=2000", "max_steps=2")):
        code = code.replace(written, quick)
    exec(code.replace("output_size=4096", "output_size=64"), names)
    assert names["clips"].shape == (4, 1600)
    assert names["sound"].shape == (1, 1400)
    assert names["trainer"].global_step == 2


def test_links_between_pages_lead_somewhere() -> None:
    """To files that are there, and to headings that they have."""
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:)([^)]*)\)", page.read_text(encoding="utf-8")):
            name, _, heading = target.partition("#")
            path = page.parent / name if name else page
            assert path.exists(), f"{page.name}: {target}"
            if heading:
                headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
                assert heading in {re.sub(r"[^\w -]", "", text).lower().replace(" ", "-") for text in headings}, target


def test_the_readme_fits_one_sitting() -> None:
    assert len(PAGES[0].read_text(encoding="utf-8").splitlines()) <= 130
