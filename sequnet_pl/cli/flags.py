"""The short names of train.py, what LightningCLI calls them, and what is said of those that there are not."""

import difflib
import inspect
from collections.abc import Iterable
from typing import get_args

from sequnet_pl.data.datamodule import AudioDataModule
from sequnet_pl.training.module import MODULES, AudioModule

_TRAINER = {
    "epochs": "max_epochs",
    "max_steps": "max_steps",
    "precision": "precision",
    "clip": "gradient_clip_val",
    "log_interval": "log_every_n_steps",
    "num_nodes": "num_nodes",
}
_DATA = {"dataset_dir": "audio_dir", "sr": "sample_rate"}
_DATA |= {name: name for name in inspect.signature(AudioDataModule).parameters if name != "seed"}


def _settings(module: type[AudioModule]) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(module).parameters)


OF_NETWORK = {name: _settings(module) for name, module in MODULES.items()}
"""The settings of each network and its training, which are short names too."""
SWITCHES = {
    name
    for settings in OF_NETWORK.values()
    for name, setting in settings.items()
    if bool in (setting.annotation, *get_args(setting.annotation))
}
"""Those of them that need no value."""
SHORT = {name: f"model.init_args.{name}" for settings in OF_NETWORK.values() for name in settings}
SHORT |= {name: f"data.{key}" for name, key in _DATA.items()}
SHORT |= {name: f"trainer.{key}" for name, key in _TRAINER.items()}
SHORT |= {"keep": "best.save_top_k", "skip_nonfinite": "nonfinite.skip", "-c": "config"}
"""Short names, and what LightningCLI calls them."""
SPECIAL = ("model", "gpus", "cuda", "seed", "early_stopping", "ema")
"""Short names that stand for more than one thing."""
_TYPED = {long: name for name, long in reversed(SHORT.items()) if name != "-c"}
_ELSEWHERE = {
    **dict.fromkeys(("learning_rate", "lrate"), "lr"),
    **dict.fromkeys(("dataset_path", "data_path", "train_dir", "audio"), "audio_dir"),
    **dict.fromkeys(("output_dir", "out", "out_dir", "save_dir", "logdir"), "log_dir"),
    **dict.fromkeys(("resume", "resume_from", "checkpoint", "load_model"), "ckpt_path"),
    **dict.fromkeys(("device", "devices", "accelerator", "ngpus"), "gpus"),
    **dict.fromkeys(("steps", "iterations", "num_steps"), "max_steps"),
    **dict.fromkeys(("channels", "hidden", "width"), "features"),
    **dict.fromkeys(("workers", "n_workers"), "num_workers"),
    **dict.fromkeys(("gradient_clip", "grad_clip"), "clip"),
    **dict.fromkeys(("wandb", "use_wandb", "no_wandb"), "logger"),
}
"""What other programs call a flag of ours, where spelling alone does not tell."""


def typed(name: str) -> str:
    """The name that a user knows a setting by."""
    return _TYPED.get(name, name)


def meant(name: str, known: Iterable[str], dashes: str = "--") -> str:
    """The question whether another word was meant, or nothing."""
    plain, known = name.replace("-", "_").lower(), list(known)
    elsewhere = _ELSEWHERE.get(plain)
    close = [elsewhere] if elsewhere in known else difflib.get_close_matches(plain, known, n=1)
    return f"; did you mean {dashes}{close[0]}?" if close else ""


def unknown_flag(name: str, known: Iterable[str]) -> str:
    """What to say of a flag that there is not, among the parser's own."""
    return f"there is no flag --{name}{meant(name, [*SHORT, *SPECIAL, *known])}"
