"""A checkpoint of a tiny untrained network with recordings beside it, and the command run on it in process."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from tiny_checkpoint import write_checkpoint

from sequnet_pl.cli.main import run_main
from sequnet_pl.evaluate.run import evaluate

EVALUATION_RATE = 8000


@pytest.fixture(scope="session")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds of tones in each file; three that are tested, and one that trains."""
    folder = tmp_path_factory.mktemp("recordings")
    time = np.arange(3 * EVALUATION_RATE) / EVALUATION_RATE
    for split, pitch in (("train", 330), ("test", 220), ("test", 440), ("test", 550)):
        path = folder / split / f"{pitch}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, (0.2 + 0.2 * np.sin(3 * time)) * np.sin(2 * np.pi * pitch * time), EVALUATION_RATE)
    return folder


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory, recordings: Path) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("checkpoint") / "last.ckpt", recordings, 3, EVALUATION_RATE)


@pytest.fixture
def run(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., str]]:
    """Run the command in an empty folder, by default with few short clips; return its output or error."""
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()

    def run(*argv: object, status: int = 0, on: Path | None = checkpoint, short: bool = True) -> str:
        words = [str(word) for word in argv]
        words += ["--ckpt_path", str(on), "--threads", "1"] if on else []
        words += ["--gpus", "0"] if on and "--gpus" not in words else []
        words += ["--seconds", "0.256", "--resamples", "3"] if short else []
        capfd.readouterr()
        assert run_main("evaluate", evaluate, words) == status
        printed = capfd.readouterr()
        lines = re.findall(r"^evaluate: .*", printed.err, re.MULTILINE)
        assert "Traceback" not in printed.err and len(lines) == (status > 0)
        return "".join(lines) if status else printed.out

    yield run
    torch.set_num_threads(threads)
