"""What ended a run, in one line: a device without memory, a process that is gone, settings that cannot be."""

import re
import traceback

import pytorch_lightning as pl
import torch

from sequnet_pl.errors import UsageError, UserError

_LOST_PROCESS = r"[Cc]onnection (was )?(closed|reset)|Broken pipe|remote process exited|Timed out waiting|heartbeat"
_NO_MEMORY = r"can't allocate memory|not enough memory|CUDA out of memory"
_LOST_WORKER = r"DataLoader worker .* (exited|killed)"


def explained(error: BaseException, trainer: pl.Trainer) -> UserError | None:
    """The error that a user can do something about, where it is one of these."""
    text = str(error)
    if isinstance(error, ModuleNotFoundError):  # of an optional part of Lightning
        return UserError(" ".join(text.split()))
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)) or re.search(_NO_MEMORY, text):
        return _out_of_memory(trainer)
    if isinstance(error, RuntimeError) and re.search(_LOST_WORKER, text):
        return UserError(
            "a process that gathers batches was killed, most likely for want of memory; "
            "try fewer --num_workers, and go on with --ckpt_path last"
        )
    if isinstance(error, RuntimeError) and trainer.world_size > 1 and re.search(_LOST_PROCESS, text):
        return UserError(
            f"process {trainer.global_rank} of {trainer.world_size} has lost another one, which ended or was killed "
            f"({' '.join(text.split())[:120]}): look for its own message, and go on with --ckpt_path last"
        )
    return said_by_a_library(error)


def said_by_a_library(error: BaseException) -> UserError | None:
    """What Lightning says of settings in an error that it raises itself, or W&B of its own; others may wrap them."""
    if not (frames := list(traceback.walk_tb(error.__traceback__))):
        return None
    libraries = [frame.f_globals.get("__name__", "").partition(".")[0] for frame, _ in frames]
    text = " ".join(str(error).split())
    if libraries[-1] in ("pytorch_lightning", "lightning_fabric"):
        return UsageError(text)
    if "wandb" in libraries and not isinstance(error, OSError):
        return UserError(f"W&B: {text}; --logger none trains without it")
    return said_by_a_library(error.__cause__) if error.__cause__ else None


def _out_of_memory(trainer: pl.Trainer) -> UserError:
    data = trainer.datamodule.hparams if trainer.datamodule else {}  # type: ignore[attr-defined]
    batch = getattr(trainer.datamodule, "batch_size", None)  # type: ignore[attr-defined]
    checkpointing = trainer.lightning_module.hparams.get("checkpoint_activations")
    ways = [
        "a smaller --batch_size (and --trainer.accumulate_grad_batches for as large a step)",
        "a smaller --output_size",
    ]
    if str(trainer.precision) not in ("bf16-mixed", "16-mixed"):
        ways.append("--precision bf16-mixed")
    settings = f"batch_size {batch}, output_size {data.get('output_size')}, precision {trainer.precision}"
    if checkpointing is not None:
        settings += f", checkpoint_activations {checkpointing}"
        ways += [] if checkpointing else ["--checkpoint_activations"]
    return UserError(f"out of memory with {settings}: try {', '.join(ways)}; go on with --ckpt_path last")
