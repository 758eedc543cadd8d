"""What a run says at its end, in a pipe, and what help says first."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

from sequnet_pl.training.trained import load_trained

SCRIPT = Path(__file__).parents[2] / "train.py"


def run(folder, *words, **environment):
    command = [sys.executable, str(SCRIPT), *words]
    done = subprocess.run(
        command, cwd=folder, env=os.environ | environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return done


def test_the_last_line_names_the_best_checkpoint_and_nothing_is_coloured(tmp_path, audio_folder):
    line = (
        f"--model sequnet --levels 2 --features 2 --depth 1 --kernel_size 3 --output_size 256 --batch_size 2 --gpus 0 "
        f"--hop_size 2000 --num_workers 0 --audio_dir {audio_folder} --max_steps 2 --name run "
        f"--log_dir '{tmp_path}/my logs' --data_dir '{tmp_path}/my data' --sample_audio.every_n_epochs 0"
    )
    done = run(tmp_path, *shlex.split(line), WANDB_MODE="offline")
    assert "wandb" in done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    *_, last = done.stdout.splitlines()
    words = shlex.split(last.split("test with: ")[1])
    assert words[:4] == ["python", "train.py", "test", "--ckpt_path"]
    assert load_trained(Path(words[4])).step == 2
    assert Path(words[4]).name == "last.ckpt"  # a run shorter than a validation has no better one
    (shown,) = [line for line in done.stderr.splitlines() if "each of them: " in line]
    assert Path(shlex.split(shown.split("each of them: ")[1])[4], "index.json").is_file()
    run(tmp_path, *words[2:], "--log_dir", f"{tmp_path}/my logs")
