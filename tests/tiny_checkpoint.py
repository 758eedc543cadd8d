"""A checkpoint in the form of those of a training, of a tiny network that was not trained."""

from pathlib import Path

import torch

from sequnet_pl.data.datamodule import AudioDataModule
from sequnet_pl.training.module import SeqUNetModule


def write_checkpoint(path: Path, recordings: Path, step: int, rate: int) -> Path:
    """Write a checkpoint whose recordings are in a folder with train/ and test/, and their codes in data/ beside it."""
    torch.manual_seed(0)
    module = SeqUNetModule(levels=3, features=4, depth=1, kernel_size=3)
    data = AudioDataModule(audio_dir=str(recordings), data_dir=str(path.parent / "data"), sample_rate=rate)
    content = {
        "network": "sequnet",
        "global_step": step,
        "hyper_parameters": dict(module.hparams),
        "datamodule_hyper_parameters": dict(data.hparams),
        "state_dict": module.state_dict(),
    }
    torch.save(content, path)
    return path
