"""Memory, time and disk of the training configs: `python -m benchmarks.configs --help`.

Memory is estimated as train.py does before the first step, for the precision of the config on a GPU: one crop, times
the batch, and weights, gradients and optimizer. With `--measure` train.py trains some steps on a CPU in float32, on the
built-in recordings; their time, the peak memory of that process and the size of last.ckpt are measured.
"""

import argparse
import functools
import inspect
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import yaml

from benchmarks.common import add_json, show
from sequnet_pl.data.datamodule import AudioDataModule
from sequnet_pl.models import registry
from sequnet_pl.report.run_folder import Metrics
from sequnet_pl.training.memory import crop_bytes
from sequnet_pl.training.module import module_class
from sequnet_pl.training.trained import load_pretrained

ROOT = Path(__file__).parents[1]
CONFIGS = ROOT / "configs"
NAMES = sorted(path.stem for path in CONFIGS.glob("*.yaml") if "class_path" in path.read_text(encoding="utf-8"))
"""Those of a training."""
STEPS = 6  # that are measured
INITIAL = "piano"
"""The bundled network whose weights finetune starts from."""


@dataclass
class Row:
    """Figures of a config; the measured ones are None if it was not trained."""

    config: str
    parameters: int
    crops: int  # of a step
    targets: int  # predicted samples of a crop
    estimated_gib: float  # memory of a step
    checkpoint_mb: float  # last.ckpt; weights and states of the optimizer if it was not trained
    seconds: float | None = None  # of a step
    peak_gib: float | None = None  # of the process


def estimate(name: str) -> Row:
    """The figures that need no training."""
    config = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text(encoding="utf-8"))
    model, data = config["model"], config.get("data", {})
    arguments = dict(model.get("init_args", {}))
    if name == "finetune":
        arguments |= load_pretrained(INITIAL).network.arguments
    module = module_class(registry.resolve(model["class_path"]))(**arguments)
    defaults = inspect.signature(AudioDataModule).parameters
    batch, targets = (data.get(key, defaults[key].default) for key in ("batch_size", "output_size"))
    bf16 = config.get("gpu_precision") == "bf16-mixed"
    context = functools.partial(torch.autocast, "cpu", torch.bfloat16, enabled=bf16)
    crop = crop_bytes(module.network, targets, torch.device("cpu"), context)
    parameters = sum(each.numel() for each in module.network.parameters())
    states = 1 if module.hparams["muon"] else 2
    needed = batch * crop + 4 * parameters * (2 + states)  # weights and gradients
    return Row(name, parameters, batch, targets, needed / 2**30, 4e-6 * parameters * (1 + states))


def measure(row: Row, steps: int, threads: int) -> None:
    """Train some steps and add their figures. Raises SystemExit with the status of train.py if it fails."""
    with tempfile.TemporaryDirectory() as folder:
        paths = ["--config", CONFIGS / f"{row.config}.yaml", "--log_dir", folder]
        paths += ["--init_from", INITIAL] if row.config == "finetune" else []
        words = f"--name run --dataset builtin --builtin_takes 1 --gpus 0 --threads {threads} --logger none "
        words += f"--log_interval 1 --max_steps {steps} --trainer.limit_val_batches 0 "
        words += "--sample_audio.every_n_steps 0 --sample_audio.every_n_epochs 0"
        status = subprocess.run([sys.executable, ROOT / "train.py", *paths, *words.split()]).returncode
        if status:
            raise SystemExit(status)
        (metrics,) = Path(folder).rglob("metrics.csv")
        run = Metrics(metrics.parent)
        speeds = run.curve("speed/samples_per_second")[1][1:]  # the first step allocates
        row.seconds = row.crops * row.targets / float(np.median(speeds))
        row.peak_gib = float(run.curve("speed/memory_gib")[1].max())
        row.checkpoint_mb = (metrics.parent / "checkpoints" / "last.ckpt").stat().st_size / 1e6


def main(argv: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.configs", description="Memory, disk and steps of configs."
    )
    parser.add_argument("names", nargs="*", default=list(NAMES), metavar="NAME", help=f"of {', '.join(NAMES)} (all)")
    parser.add_argument("--measure", action="store_true", help="train some steps of each config on a CPU")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads")
    add_json(parser)
    arguments = parser.parse_args(argv)
    if unknown := set(arguments.names) - set(NAMES):
        parser.error(f"there is no config {', '.join(sorted(unknown))}")
    rows = [estimate(name) for name in arguments.names]
    for row in rows if arguments.measure else []:
        measure(row, STEPS, arguments.threads)
    show("Configs", rows, arguments)


if __name__ == "__main__":
    main()
