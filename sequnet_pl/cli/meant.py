"""What was probably meant by a word that there is not."""

import difflib
from collections.abc import Iterable

_ELSEWHERE = {
    "lr": ("learning_rate", "lrate"),
    "audio_dir": ("dataset_path", "data_path", "train_dir", "audio"),
    "log_dir": ("output_dir", "out", "out_dir", "save_dir", "logdir"),
    "ckpt_path": ("resume", "resume_from", "checkpoint", "load_model"),
    "gpus": ("device", "devices", "accelerator", "ngpus"),
    "max_steps": ("steps", "iterations", "num_steps"),
    "features": ("channels", "hidden", "width"),
    "num_workers": ("workers", "n_workers"),
    "clip": ("gradient_clip", "grad_clip"),
    "logger": ("wandb", "use_wandb", "no_wandb"),
    "temp": ("temperature",),
    "output_dir": ("out", "out_dir", "save_dir"),
}
"""Our flags, and what other programs call them, where spelling alone does not tell."""


def meant(word: str, known: Iterable[str], dashes: str = "--") -> str:
    """The question whether another word was meant, or nothing; of a group of settings, another one of the group."""
    plain, known = word.replace("-", "_").lower(), list(known)
    group, dot, _ = plain.rpartition(".")
    close = [ours for ours, others in _ELSEWHERE.items() if plain in others and ours in known]
    if not close:
        rest = {name.removeprefix(group + dot): name for name in known if name.rpartition(".")[0] == group}
        close = [rest[name] for name in difflib.get_close_matches(plain.removeprefix(group + dot), rest, n=1)]
    return f"; did you mean {dashes}{close[0]}?" if close else ""
