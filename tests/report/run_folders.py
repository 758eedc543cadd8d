"""A run folder as training leaves it, made without training."""

import csv
import json
from pathlib import Path

import numpy as np

from sequnet_pl.audio.files import write_wav
from sequnet_pl.report.run_folder import ClipInfo, ClipSet

RATE = 8000
SUMMARY = {
    "network": "sequnet",
    "parameters": 26_900_000,
    "receptive_field_ms": 1234.5,
    "sample_rate": RATE,
    "commit": "0123456789ab",
    "commands": ["python train.py --model sequnet", "python train.py --ckpt_path last"],
    "data": {"fingerprint": "f00d", "store": "mine", "splits": {"train": {"recordings": 3, "hours": 2.5}}},
}


def make_run(folder: Path, steps: int = 200, samplings: int = 3) -> Path:
    """Rows every ten steps, a validation every fifty, clips every hundred; the last clip is a loop."""
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(SUMMARY))
    (folder / "config.yaml").write_text(
        "model:\n  class_path: x.SeqUNetModule\n  init_args: {levels: 5}\n"
        "data: {audio_dir: /home/me/music, batch_size: 16}\ntrainer: {precision: bf16-mixed, max_epochs: 3}\n"
    )
    (folder / "warnings.txt").write_text("2026-01-01 00:00:00 <b>a batch takes 9 ms to load\n")
    rows: list[dict[str, float]] = []
    for step in range(9, steps, 10):
        over = {"step": step, "hours_heard": step / 100, "wall_hours": step / 200}
        over |= {"reference/single_codes": 7.0, "reference/code_pairs": 5.0}
        speed = {"speed/samples_per_second": 9e5, "speed/data_wait": 0.01, "speed/memory_gib": 2.0}
        rows.append({"step": step, "lr-Adam/pg1": 1e-3, "lr-Adam/pg2": 1e-3})
        rows.append(over | speed | {"train/bits_per_sample": 3 + 5 / (step + 1), "train/gradient_norm": 0.5})
        if (step + 1) % 50 == 0:
            rows.append(over | {"val/bits_per_sample": 3 + 5 / step, "val/bits_per_sample_without_ema": 3.5})
    with (folder / "metrics.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, sorted(set().union(*rows)))
        writer.writeheader()
        writer.writerows(rows)
        file.write("1,2")  # a line that was cut short
    for number in range(1, samplings + 1):
        add_sampling(folder, 100 * number)
    return folder


def add_sampling(folder: Path, step: int) -> ClipSet:
    """A continuation, its recording and a clip from silence."""
    folder_of_step = folder / "samples" / f"step-{step:08d}"
    noise = np.random.default_rng(step).uniform(-0.5, 0.5, 2 * RATE).astype(np.float32)
    clips = [
        ClipInfo(
            name="continuation-0", kind="continuation", prompt_end=1, bits_per_sample=3.0, temperature=1, source="a"
        ),
        ClipInfo(name="recording-0", kind="recording", prompt_end=1, bits_per_sample=2.5, source="music/a.flac, 1 s"),
        ClipInfo(name="silence-1", kind="silence", prompt_end=0, bits_per_sample=None, temperature=0.8, flags=["loop"]),
    ]
    for clip in clips:
        write_wav(folder_of_step / f"{clip.name}.wav", np.tile(noise[:800], 20) if clip.flags else noise, RATE)
    counts = np.bincount(np.random.default_rng(0).integers(100, 150, 1000), minlength=256).tolist()
    sampling = ClipSet(step=step, rate=RATE, seed=0, clips=clips, real_codes=counts, generated_codes=counts[::-1])
    sampling.write(folder_of_step)
    return sampling
