"""What a run prints where its output is not a terminal."""

import os
import subprocess
import sys

from tiny import ROOT, TINY


def test_few_lines_without_a_terminal_and_a_wandb_key(tmp_path, audio_folder):
    words = f"--model sequnet {TINY['sequnet']} --audio_dir {audio_folder} --output_size 256 --batch_size 2 --gpus 0"
    words += " --hop_size 2000 --max_steps 20 --num_workers 0 --warmup 0.1 --sample_audio.every_n_epochs 0 --name run"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    done = subprocess.run(
        [sys.executable, ROOT / "train.py", *words.split()],
        cwd=tmp_path,
        env=environment | {"HOME": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    assert done.returncode == 0 and len(lines) <= 15, done.stdout
    assert sum("offline" in line for line in lines) == 1  # and none on variables of W&B, a history or advice
    assert not any("will be ignored" in line or "Run history" in line for line in lines)
    assert sum("samples per second" in line for line in lines) == 1
