"""What is done with one network: train it, score it, let it make clips, and set these against recordings."""

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytorch_lightning as pl

from benchmarks.comparison.results import Found
from benchmarks.comparison.scales import Scale
from benchmarks.sampling import NETWORKS
from sequnet_pl.data.datamodule import AudioDataModule
from sequnet_pl.data.loader import CropLoader
from sequnet_pl.errors import UserError
from sequnet_pl.report.scores import NETWORK
from sequnet_pl.training.checkpoints import LAST, hyper_parameters
from sequnet_pl.training.saving import load_module

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Contender:
    """One of the networks, and where its run lies.

    Attributes:
        network: sequnet or wavenet.
        shape: Its name in `benchmarks.sampling.NETWORKS`.
        log_dir: The root of the run folders.
        name: Of the run.
        scale: The size of the comparison.
        flags: Of train.py beside those of the scale.
        gpus: How many; 0 is the CPU.
    """

    network: str
    shape: str
    log_dir: Path
    name: str
    scale: Scale
    flags: Sequence[str]
    gpus: int

    @property
    def folder(self) -> Path:
        """The run."""
        return self.log_dir / self.network / self.name

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoints" / LAST

    @property
    def clips(self) -> Path:
        return self.folder / "clips"

    @property
    def evaluation(self) -> Path:
        return self.folder / "evaluation"

    def train(self) -> Found:
        """Train it, or go on with that; what the network is, and the sizes of a batch."""
        shape = NETWORKS[self.shape]().arguments
        self._train_py(
            f"--model={self.network}",
            *(f"--{name}={value}" for name, value in shape.items()),
            *self.scale.training,
            *self.flags,
            "--ckpt_path=auto",
            "--logger=none",
        )
        module, content = load_module(self.checkpoint)
        return {
            "steps": content["global_step"],
            "parameters": sum(parameter.numel() for parameter in module.network.parameters()),
            "receptive_field": module.network.receptive_field,
            "data": hyper_parameters(content, "datamodule_hyper_parameters"),
        }

    def test(self) -> Found:
        """Its scores on the test recordings, as test.json has them, in all and by distance from the start."""
        self._train_py("test", f"--ckpt_path={self.checkpoint}")
        scores = json.loads((self.folder / "test.json").read_text(encoding="utf-8"))
        bits = scores["bits_per_sample"]
        wanted = ("samples", "accuracy", "distances", "fingerprint")
        return {name: scores[name] for name in wanted} | {"bits_per_sample": bits.pop(NETWORK), "tables": bits}

    def score_training(self) -> Found:
        """The same scores on training recordings: as many samples as the test has, evenly spread."""
        module, content = load_module(self.checkpoint)
        data = _TrainingRecordings(**hyper_parameters(content, "datamodule_hyper_parameters"))
        trainer = pl.Trainer(
            accelerator="gpu" if self.gpus else "cpu",
            devices=1,
            logger=False,
            enable_checkpointing=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
        )
        (scores,) = trainer.test(module, data, verbose=False)
        return {"bits_per_sample": scores["test/bits_per_sample"], "accuracy": scores["test/accuracy"]}

    def sample(self) -> Found:
        """Clips that go on from test recordings: the same prompts and random numbers for every network."""
        scale, gpus = self.scale, min(self.gpus, 1)
        sizes = [
            f"--prompt_seconds={scale.prompt_seconds}",
            f"--seconds={scale.seconds}",
            f"--batch_size={scale.clips}",
        ]
        to = [f"--ckpt_path={self.checkpoint}", f"--output_dir={self.clips}"]
        _run(str(ROOT / "sample.py"), "--conditional=1", *sizes, *to, f"--gpus={gpus}")
        return {}

    def evaluate(self) -> Found:
        """How the clips compare with recordings, as evaluation.json has it."""
        sizes = [f"--seconds={self.scale.seconds}", f"--gpus={min(self.gpus, 1)}"]
        to = [f"--ckpt_path={self.checkpoint}", f"--output_dir={self.evaluation}"]
        _run("-m", "sequnet_pl.evaluate", f"--clips_dir={self.clips}", *sizes, *to)
        found = json.loads((self.evaluation / "evaluation.json").read_text(encoding="utf-8"))
        return {"clips": found["clips"], "log_mel_frechet": found["measures"]["log_mel_frechet"]["distance"]}

    def _train_py(self, *flags: str) -> None:
        _run(str(ROOT / "train.py"), *flags, f"--log_dir={self.log_dir}", f"--name={self.name}", f"--gpus={self.gpus}")


class _TrainingRecordings(AudioDataModule):
    """Gives the training recordings where the test ones are asked for."""

    def test_dataloader(self) -> CropLoader | list[CropLoader]:
        """As many samples as the test split has."""
        return self._scoring("train", int(self.splits["test"].lengths.sum()))


def _run(*command: str) -> None:
    """Run a command of this project; it says itself what is wrong. Raises SystemExit with its status where it fails."""
    process = subprocess.Popen([sys.executable, *command])
    try:
        status = process.wait()
    except BaseException:  # Ctrl-C, or the end of a job's time: let it save first
        process.terminate()
        process.wait()
        raise
    if status < 0:
        name = signal.Signals(-status).name
        raise UserError(f"{Path(command[0]).name} was ended by {name} (out of memory?); the same command goes on")
    if status:
        raise SystemExit(status)
