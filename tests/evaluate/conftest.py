"""A checkpoint of a tiny untrained network with recordings beside it, and the command run on it in process."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from sequnet_pl.cli.main import run_main
from sequnet_pl.data.datamodule import AudioDataModule
from sequnet_pl.evaluate.run import evaluate
from sequnet_pl.training.module import SeqUNetModule

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
    """Ours in form, of 8 kHz, 3 steps old."""
    folder = tmp_path_factory.mktemp("checkpoint")
    torch.manual_seed(0)
    module = SeqUNetModule(levels=3, features=4, depth=1, kernel_size=3)
    data = AudioDataModule(audio_dir=str(recordings), data_dir=str(folder / "data"), sample_rate=EVALUATION_RATE)
    content = {
        "network": "sequnet",
        "global_step": 3,
        "hyper_parameters": dict(module.hparams),
        "datamodule_hyper_parameters": dict(data.hparams),
        "state_dict": module.state_dict(),
    }
    torch.save(content, folder / "last.ckpt")
    return folder / "last.ckpt"


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
