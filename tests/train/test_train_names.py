"""train.py on a folder, a run and recordings whose names are no UTF-8, on a terminal that prints little."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny import ROOT
from tones import tone

FOLDER, RUN = os.fsdecode(b"caf\xe9"), os.fsdecode(b"n\xe9")


def train(where: Path, *arguments: str, logger: str = "none") -> str:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "WANDB_MODE": "offline", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(ROOT / "train.py"), *arguments, "--gpus", "0", "--num_workers", "0"]
    done = subprocess.run(
        [*command, "--logger", logger], cwd=where, env=environment, capture_output=True, timeout=180, check=False
    )
    text = (done.stdout + done.stderr).decode("ascii")
    assert done.returncode == 0 and "Traceback" not in text, text
    return text


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where recordings with odd names lie in a folder with another."""
    for number in range(5):
        wav = tmp_path / "music" / "train" / f"{number}.wav"
        tone(wav, 0.4 + 0.1 * number)
        wav.rename(wav.with_name(os.fsdecode(b"\xe9 $%d$ [b]\n\x1b[31m.wav" % number)))
    tone(tmp_path / "music" / "test" / "a.wav", 0.5)
    (tmp_path / "music").rename(tmp_path / FOLDER)
    return tmp_path


SMALL = ["--model", "sequnet", "--levels", "3", "--features", "4", "--depth", "1", "--output_size", "256"]
SMALL += ["--batch_size", "2", "--max_steps", "2", "--audio_dir", FOLDER]


def test_a_run_resumes_and_is_scored(folder: Path):
    text = train(folder, *SMALL, "--name", RUN, logger="wandb")
    assert "need UTF-8: logs/sequnet/n\\udce9" in text and "\x1b[31m.wav" not in text
    train(folder, "fit", "--ckpt_path", "last", "--max_steps", "4")
    train(folder, "test", "--ckpt_path", "last")
    (run,) = (folder / "logs/sequnet").iterdir()
    assert (run / "report.html").is_file() and (run / "test.html").is_file()
