"""Short runs in this process, without the command line."""

import csv
from dataclasses import dataclass
from pathlib import Path

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint as BestCheckpoint

from sequnet_pl.cli.main import run_main
from sequnet_pl.cli.train import train
from sequnet_pl.data.crops import Batch
from sequnet_pl.data.datamodule import AudioDataModule
from sequnet_pl.training.loggers import AppendingCSVLogger
from sequnet_pl.training.module import AudioModule, SeqUNetModule
from sequnet_pl.training.saving import AtomicCheckpointIO, LastCheckpoint
from sequnet_pl.training.scores import ScoreReport


@dataclass
class Run:
    """A run that has ended, and what it has left."""

    trainer: pl.Trainer
    module: SeqUNetModule
    folder: Path
    error: BaseException | None

    @property
    def last(self):
        return torch.load(self.folder / "checkpoints" / "last.ckpt", weights_only=True)

    @property
    def rows(self):
        return rows(self.folder)

    def curve(self, name="train/bits_per_sample"):
        """The logged values by step, as they are in the file."""
        found = [(int(row["step"]), row[name]) for row in self.rows if row.get(name)]
        assert len(dict(found)) == len(found), "a step is logged twice"
        return dict(found)


def rows(folder):
    """The rows of metrics.csv."""
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def run_fit(
    root, audio, name="run", resume=False, module=None, callbacks=(), data=None, keep=1, every=3, plugins=(), **options
):
    """Train a tiny network; `resume` from the run's last checkpoint, or the one at a path."""
    folder = Path(root) / name
    checkpoints = folder / "checkpoints"
    torch.manual_seed(0)
    module = module or SeqUNetModule(2, 2, 1, 3)
    settings = {"output_size": 256, "batch_size": 2, "hop_size": 2000, "num_workers": 0} | (data or {})
    folders = audio if isinstance(audio, list) else str(audio)
    datamodule = AudioDataModule(audio_dir=folders, data_dir=str(Path(root) / "data"), **settings)
    best = BestCheckpoint(
        str(checkpoints),
        monitor="val/bits_per_sample",
        filename="best-step{step:08d}",
        auto_insert_metric_name=False,
        enable_version_counter=False,
        save_top_k=keep,
    )
    defaults = {
        "accelerator": "cpu",
        "logger": AppendingCSVLogger(folder),
        "log_every_n_steps": 1,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
        "max_epochs": 3,
    }
    trainer = pl.Trainer(
        **defaults | options,
        use_distributed_sampler=False,
        callbacks=[*callbacks, best, LastCheckpoint(str(checkpoints), every)],
        plugins=[*plugins, AtomicCheckpointIO()],
    )
    error = None
    try:
        path = checkpoints / "last.ckpt" if resume is True else resume
        trainer.fit(module, datamodule, ckpt_path=str(path) if path else None)
    except (SystemExit, Exception) as raised:
        error = raised
    return Run(trainer, module, folder, error)


def run_test(folder, module, audio, data_dir, batch_size=4, **options):
    """Score a network; the report is written to a folder."""
    trainer = pl.Trainer(
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        callbacks=[ScoreReport(Path(folder))],
        **options,
    )
    data = {"output_size": 256, "batch_size": batch_size, "num_workers": 0}
    trainer.test(module, AudioDataModule(audio_dir=str(audio), data_dir=str(data_dir), **data), verbose=False)


class At(pl.Callback):
    """Calls a function once: at the start of a batch of training, or of the validation after a step."""

    def __init__(self, act, step, stage="training"):
        self.act, self.step, self.stage = act, step, stage

    def on_train_batch_start(self, trainer, *_):
        if self.stage == "training" and trainer.global_step == self.step:
            self.act()

    def on_validation_batch_start(self, trainer, *_):
        if self.stage == "validation" and trainer.global_step == self.step:
            self.act()


def flat(value, name=""):
    """Values of nested lists and dictionaries by their path, tensors as lists."""
    if isinstance(value, (dict, list)):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        return {path: leaf for key, part in pairs for path, leaf in flat(part, f"{name}/{key}").items()}
    return {name: value.tolist() if isinstance(value, torch.Tensor) else value}


def same_weights(one, other):
    pairs = zip(one.module.state_dict().items(), other.module.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for (_, a), b in pairs)


def random_batch(network, *targets):
    """A batch of a crop of 64 outputs for each number of targets."""
    inputs = network.window(64).inputs
    random = torch.Generator().manual_seed(1)
    codes = torch.randint(256, (len(targets), inputs + 1), dtype=torch.uint8, generator=random)
    zeros = torch.zeros(len(targets), dtype=torch.int64)
    return Batch(codes, torch.tensor(targets), zeros, zeros)


def line(tmp_path, audio_folder, more=""):
    """A command line of train.py: 13 steps, one epoch."""
    return (
        "--model sequnet --levels 2 --features 2 --depth 1 --kernel_size 3 --output_size 256 --batch_size 1 "
        f"--hop_size 2000 --audio_dir {audio_folder} --log_dir {tmp_path}/logs --data_dir {tmp_path}/data --epochs 1 "
        f"--gpus 0 --sample_audio.every_n_epochs 0 --trainer.log_every_n_steps 1 --logger none {more}"
    )


def last(tmp_path, name):
    """The content of last.ckpt of a run that train.py made."""
    return torch.load(tmp_path / "logs" / "sequnet" / name / "checkpoints" / "last.ckpt", weights_only=True)


def train_acting(words, act, step, rank=0):
    """Run train.py, in which one process does something in a step."""
    original = AudioModule.training_step

    def training_step(self, batch, batch_idx):
        if (self.trainer.global_rank, self.trainer.global_step) == (rank, step):
            act()
        return original(self, batch, batch_idx)

    AudioModule.training_step = training_step
    return run_main("train.py", train, words.split())
