"""Sampling needs a network, never a Trainer: neither Lightning nor the compiler is loaded for it."""

import subprocess
import sys
from pathlib import Path

import soundfile
from sample_run import RATE

RUN = """
import sys
from sequnet_pl.cli.entry_points import sample
from sequnet_pl.cli.main import run_main

for words in {lines}:
    assert run_main("sample.py", sample, words) == 0
    print(sorted({{"pytorch_lightning", "lightning_fabric", "torchmetrics", "torch._dynamo"}} & sys.modules.keys()))
"""


def test_neither_lightning_nor_the_compiler_is_loaded(trained: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "prompt.wav", [0.1, -0.1] * RATE, RATE)
    same = ["--gpus", "0", "--gen_samples", "200", "--ckpt_path", str(trained)]
    context = ["--prompt_seconds", "0.01", "--output_dir", str(tmp_path / "more")]
    recordings = str(trained.parent / "audio")
    lines = [
        [*same, "--output_dir", str(tmp_path / "made")],
        [*same, *context, "--prompt", str(tmp_path / "prompt.wav")],
        [*same, *context, "--conditional", "1", "--audio_dir", recordings],
    ]
    code = RUN.format(lines=lines)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "[]\n" * len(lines)), done.stderr
