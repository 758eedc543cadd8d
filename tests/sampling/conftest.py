"""A checkpoint of a tiny network, and sample.py run on it in process."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pooch  # noqa: F401  # its logger keeps the stderr of its import, which the capture of a test closes
import pytest
import soundfile
import torch
from sample_run import RATE
from tiny_checkpoint import write_checkpoint

from sequnet_pl.cli.entry_points import sample
from sequnet_pl.cli.main import run_main
from sequnet_pl.sampling import clips as making


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of a tiny Seq-U-Net, two steps old; the recordings lie beside it."""
    folder = tmp_path_factory.mktemp("trained")
    random = np.random.default_rng(0)
    for index in range(6):
        path = folder / "audio" / ("test" if index < 2 else "train") / f"{index}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, random.uniform(-0.3, 0.3, RATE // 2), RATE)
    return write_checkpoint(folder / "last.ckpt", folder / "audio", step=2, rate=RATE)


@pytest.fixture
def run(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., str]]:
    """Run sample.py on the checkpoint, short clips on the CPU to generated/ by default; return the line on stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(making, "save_spectrogram", lambda *_: None)  # what takes most of the time
    threads = torch.get_num_threads()

    def run(
        *argv: object, status: int = 0, on: Path | None = trained, short: bool = True, own_folder: bool = False
    ) -> str:
        words = [str(word) for word in argv]
        words += ["--ckpt_path", str(on)] if on else []
        words += ["--gen_samples", "200"] if short else []
        elsewhere = own_folder or {"--output_dir", "--continue", "--stdout", "--play"} & set(words)
        words += [] if elsewhere else ["--output_dir", "generated"]
        words += [] if {"--gpus", "--cuda"} & set(words) else ["--gpus", "0"]
        capfd.readouterr()
        assert run_main("sample.py", sample, words) == status
        error = capfd.readouterr().err
        lines = [line for line in error.splitlines() if "sample.py: " in line]
        assert "Traceback" not in error and len(lines) == (status > 0)
        return "".join(lines)

    yield run
    torch.set_num_threads(threads)
