"""The short names of train.py, and what LightningCLI calls them."""

import inspect
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
_DATA = {name: name for name in inspect.signature(AudioDataModule).parameters if name != "seed"}
_DATA |= {"dataset_dir": "audio_dir", "sr": "sample_rate"}


def _settings(module: type[AudioModule]) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(module).parameters)


OF_NETWORK = {name: _settings(module) for name, module in MODULES.items()}
"""The settings of each network and its training, which are short names too."""
SWITCHES = {
    name
    for settings in (*OF_NETWORK.values(), inspect.signature(AudioDataModule).parameters)
    for name, setting in settings.items()
    if bool in (setting.annotation, *get_args(setting.annotation))
}
"""Those of them, and of the data, that need no value."""
SHORT = {name: f"model.init_args.{name}" for settings in OF_NETWORK.values() for name in settings}
SHORT |= {name: f"data.{key}" for name, key in _DATA.items()}
SHORT |= {name: f"trainer.{key}" for name, key in _TRAINER.items()}
SHORT |= {"keep": "best.save_top_k", "skip_nonfinite": "nonfinite.skip", "-c": "config"}
"""Short names, and what LightningCLI calls them."""
SPECIAL = ("model", "gpus", "cuda", "seed", "early_stopping", "ema", "init_from")
"""Short names that stand for more than one thing."""
VALUED = {*SHORT, *SHORT.values(), *SPECIAL, "config", "data", "trainer", "ckpt_path", "log_dir", "name"}
VALUED -= {*SWITCHES, "cuda"}
"""Names of flags that are looked at before the parser could say that their value is missing."""
LISTS = {name for name, long in SHORT.items() if long in ("data.audio_dir", "data.audio_weights")}
LISTS |= {"data.audio_dir", "data.audio_weights"}
"""Names of flags that take several values."""
_TYPED = {long: name for name, long in reversed(SHORT.items()) if name != "-c"}


def typed(name: str) -> str:
    """The name that a user knows a setting by."""
    return _TYPED.get(name, name)
