"""What train.py prints to a pipe or a limited terminal, and how commands run without a reader of their output."""

import os
import re
import subprocess
import sys
from pathlib import Path

import torch
from tiny import ROOT, TINY, rows, run_folder
from tones import tone

TRAIN = [sys.executable, str(ROOT / "train.py")]
NOT_UTF8, RUN = os.fsdecode(b"caf\xe9"), os.fsdecode(b"n\xe9")


def environment(folder, **more):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    folders = {name: str(folder / "wandb") for name in ("WANDB_CONFIG_DIR", "WANDB_CACHE_DIR", "NETRC")}
    return kept | folders | {"OMP_NUM_THREADS": "1"} | more


def demo(audio_folder):
    line = f"--config configs/demo.yaml {TINY['sequnet']} --head 0 --output_size 512 --gpus 0 --audio_dir"
    steps = "--max_steps 20 --trainer.val_check_interval 7 --sample_audio.every_n_steps 10 --log_interval 2"
    return [*TRAIN, *line.split(), str(audio_folder), *steps.split(), "--sample_audio.seconds", "0.01"]


def test_a_run_prints_a_few_lines(tmp_path, audio_folder):
    done = subprocess.run(
        demo(audio_folder), cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    lines = (done.stdout + done.stderr).splitlines()
    assert len(lines) <= 15, done.stdout + done.stderr
    (printed,) = re.findall(r"trained until step 20, ([\d,]+) samples per second", done.stdout)
    speeds = [
        float(row["speed/samples_per_second"])
        for row in rows(run_folder(tmp_path, "sequnet"))
        if row["step"] and row["speed/samples_per_second"]
    ]
    assert min(speeds) <= int(printed.replace(",", "")) <= max(speeds)


def test_a_run_outlives_the_reader_of_its_output(tmp_path, audio_folder):
    words = [*demo(audio_folder), "--logger", "none", "--trainer.enable_progress_bar", "true"]
    process = subprocess.Popen(
        words, cwd=tmp_path, env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert process.stdout.readline()
    process.stdout.close()
    assert process.wait(300) == 0
    last = torch.load(run_folder(tmp_path, "sequnet") / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["global_step"] == 20


def test_a_closed_output_is_no_error(tmp_path):
    code = "import os, sys; os.close(1); os.execv(sys.argv[1], sys.argv[1:])"
    words = [sys.executable, str(ROOT / "sample.py"), "--pretrained", "piano", "--gpus", "0", "--seconds", "0.05"]
    done = subprocess.run(
        [sys.executable, "-c", code, *words], stderr=subprocess.PIPE, text=True, cwd=tmp_path, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob("generated/*/*.wav"))) == 1


def train(folder: Path, *arguments: str, logger: str = "none") -> str:
    """Run train.py on a terminal that prints ASCII; return what it prints."""
    words = [*TRAIN, *arguments, "--gpus", "0", "--num_workers", "0", "--logger", logger]
    ascii_only = environment(folder, PYTHONIOENCODING="ascii", WANDB_MODE="offline")
    done = subprocess.run(words, cwd=folder, env=ascii_only, capture_output=True, timeout=180)
    text = (done.stdout + done.stderr).decode("ascii")
    assert done.returncode == 0 and "Traceback" not in text, text
    return text


def test_names_that_are_not_utf8(tmp_path):
    """Of a folder, its recordings and a run, which resumes and is scored."""
    for number in range(5):
        wav = tone(tmp_path / "music" / "train" / f"{number}.wav", 0.4 + 0.1 * number)
        wav.rename(wav.with_name(os.fsdecode(b"\xe9 $%d$ [b]\n\x1b[31m.wav" % number)))
    tone(tmp_path / "music" / "test" / "a.wav", 0.5)
    (tmp_path / "music").rename(tmp_path / NOT_UTF8)
    small = f"--model sequnet {TINY['sequnet']} --output_size 256 --batch_size 2 --max_steps 2".split()
    text = train(tmp_path, *small, "--audio_dir", NOT_UTF8, "--name", RUN, logger="wandb")
    assert "need UTF-8: logs/sequnet/n\\udce9" in text and "\x1b[31m.wav" not in text
    train(tmp_path, "fit", "--ckpt_path", "last", "--max_steps", "4")
    train(tmp_path, "test", "--ckpt_path", "last")
    (run,) = (tmp_path / "logs/sequnet").iterdir()
    assert (run / "report.html").is_file() and (run / "test.html").is_file()
