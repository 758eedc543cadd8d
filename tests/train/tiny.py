"""train.py with networks that learn in a second."""

import csv
from pathlib import Path

ROOT = Path(__file__).parents[2]
TINY = {
    "sequnet": "--levels 3 --features 4 --depth 1 --kernel_size 3",
    "wavenet": "--layers 3 --blocks 2 --dilation_channels 4 --residual_channels 4 --skip_channels 4",
}


def fit(model, audio_folder, steps):
    return (
        f"--model {model} {TINY[model]} --audio_dir {audio_folder} --output_size 256 --batch_size 2 --hop_size 2000 "
        f"--max_steps {steps} --trainer.log_every_n_steps 1"
    )


def run_folder(tmp_path, model):
    (folder,) = (tmp_path / "logs" / model).iterdir()
    return folder


def rows(folder):
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))
