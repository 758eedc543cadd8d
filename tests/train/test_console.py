"""What train.py prints to a pipe or a limited terminal, and how it runs without a reader of its output."""

import os
import re
import shlex
import subprocess
import sys

import torch
from tiny import ROOT, TINY, rows, run_folder
from tones import tone

FOLDER, RUN = os.fsdecode(b"caf\xe9"), os.fsdecode(b"n\xe9")  # not UTF-8


def start(folder, *words, **variables):
    """Start Python in a folder, without settings of W&B."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    folders = {name: str(folder / "wandb") for name in ("WANDB_CONFIG_DIR", "WANDB_CACHE_DIR", "NETRC")}
    environment = kept | folders | {"OMP_NUM_THREADS": "1"} | variables
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen([sys.executable, *words], cwd=folder, env=environment, **pipes)


def demo(audio_folder):
    line = f"--config configs/demo.yaml {TINY['sequnet']} --head 0 --output_size 512 --gpus 0 --audio_dir"
    steps = "--max_steps 20 --trainer.val_check_interval 7 --sample_audio.every_n_steps 10 --log_interval 2"
    return [str(ROOT / "train.py"), *line.split(), str(audio_folder), *steps.split(), "--sample_audio.seconds", "0.01"]


def test_a_run_prints_a_few_lines(tmp_path, audio_folder):
    process = start(tmp_path, *demo(audio_folder))
    text = process.communicate(timeout=300)[0].decode()
    assert process.returncode == 0, text
    assert len(text.splitlines()) <= 15, text
    assert "W&B: offline" in text and "anonymous" not in text  # an option of Lightning that W&B warns of
    (printed,) = re.findall(r"trained until step 20, ([\d,]+) samples per second", text)
    speeds = [
        float(row["speed/samples_per_second"])
        for row in rows(run_folder(tmp_path, "sequnet"))
        if row["step"] and row["speed/samples_per_second"]
    ]
    assert min(speeds) <= int(printed.replace(",", "")) <= max(speeds)


def test_a_run_outlives_the_reader_of_its_output(tmp_path, audio_folder):
    words = "--logger none --trainer.enable_progress_bar true --sample_audio.every_n_steps 0"
    process = start(tmp_path, *demo(audio_folder), *words.split())
    assert process.stdout.readline()
    process.stdout.close()
    assert process.wait(300) == 0
    last = torch.load(run_folder(tmp_path, "sequnet") / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["global_step"] == 20


def test_names_that_are_not_utf8(tmp_path):
    """Of a folder, its recordings and a run, which resumes and is scored, on a terminal that prints ASCII."""
    for number in range(2):
        wav = tone(tmp_path / "music" / "train" / f"{number}.wav", 0.4 + 0.1 * number)
        wav.rename(wav.with_name(os.fsdecode(b"\xe9 $%d$ [b]\n\x1b[31m.wav" % number)))
    for split in ("val", "test"):
        tone(tmp_path / "music" / split / "a.wav", 0.2)
    (tmp_path / "music").rename(tmp_path / FOLDER)
    small = f"{TINY['sequnet']} --output_size 256 --batch_size 2 --logger wandb --sample_audio.seconds 0.01"
    first = f"--model sequnet {small} --max_steps 2 {shlex.join(['--audio_dir', FOLDER, '--name', RUN])}"
    lines = (first, "--ckpt_path last --max_steps 4", "test --ckpt_path last")
    commands = [f"{line} --gpus 0 --num_workers 0" for line in lines]
    code = (
        "import shlex, sys; from sequnet_pl.cli.main import run_main; from sequnet_pl.cli.train import train\n"
        "sys.exit(any(run_main('train.py', train, shlex.split(line)) for line in sys.argv[1:]))"
    )
    process = start(tmp_path, "-c", code, *commands, PYTHONIOENCODING="ascii", WANDB_MODE="offline")
    text = process.communicate(timeout=300)[0].decode("ascii")
    assert process.returncode == 0 and "Traceback" not in text, text
    assert "need UTF-8: logs/sequnet/n\\udce9" in text and "\x1b[31m.wav" not in text
    (run,) = (tmp_path / "logs/sequnet").iterdir()
    assert (run / "report.html").is_file() and (run / "test.html").is_file()
