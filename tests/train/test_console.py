"""What train.py prints to a pipe, and what it does when the reader of the pipe ends."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import torch
from tiny import ROOT, TINY, rows, run_folder

TRAIN = [sys.executable, str(ROOT / "train.py")]


@pytest.fixture
def folder(tmp_path):
    """A folder with a few seconds of noise in each split."""
    noise = np.random.default_rng(0)
    for split in ("train", "val", "test"):
        (tmp_path / "music" / split).mkdir(parents=True)
        soundfile.write(tmp_path / "music" / split / "a.wav", noise.uniform(-0.5, 0.5, 32_000), 16_000)
    return tmp_path


def environment(folder):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    folders = {name: str(folder / "wandb") for name in ("WANDB_CONFIG_DIR", "WANDB_CACHE_DIR", "NETRC")}
    return kept | folders | {"OMP_NUM_THREADS": "1"}


def demo():
    line = f"--config configs/demo.yaml {TINY['sequnet']} --head 0 --output_size 512 --gpus 0 --audio_dir music"
    line += " --max_steps 20 --trainer.val_check_interval 7 --sample_audio.every_n_steps 10"
    return [*TRAIN, *line.split(), "--sample_audio.seconds", "0.01", "--log_interval", "2"]


def test_a_run_prints_a_few_lines(folder):
    done = subprocess.run(
        demo(), cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = (done.stdout + done.stderr).splitlines()
    assert len(lines) <= 15, done.stdout + done.stderr
    (printed,) = re.findall(r"trained until step 20, ([\d,]+) samples per second", done.stdout)
    speeds = [
        float(row["speed/samples_per_second"])
        for row in rows(run_folder(folder, "sequnet"))
        if row["step"] and row["speed/samples_per_second"]
    ]
    assert min(speeds) <= int(printed.replace(",", "")) <= max(speeds)


def test_a_run_outlives_the_reader_of_its_output(folder):
    words = [*demo(), "--logger", "none", "--trainer.enable_progress_bar", "true"]
    process = subprocess.Popen(
        words, cwd=folder, env=environment(folder), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert process.stdout.readline()
    process.stdout.close()
    assert process.wait(300) == 0
    last = torch.load(run_folder(folder, "sequnet") / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["global_step"] == 20
