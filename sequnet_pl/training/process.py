"""The process of a run: its launcher, its rank, its threads, and the warnings that do not apply here."""

import logging
import os
import re
import warnings

import torch
from lightning_fabric.utilities.rank_zero import rank_zero_only
from torch import distributed

from sequnet_pl.errors import UsageError
from sequnet_pl.processes import end_with_parent

_LAUNCHER = "SEQUNET_PL_LAUNCHER"  # in the environment: the process whose children inherit it


def exit_with_launcher() -> bool:
    """Return whether Lightning has launched this process for a run; it then ends with the process that launched it."""
    launched = os.environ.get(_LAUNCHER) == str(os.getppid()) and "LOCAL_RANK" in os.environ
    if launched:
        end_with_parent()
    os.environ[_LAUNCHER] = str(os.getpid())
    return launched


def is_rank_zero() -> bool:
    """Return whether this process is the one that writes, before a trainer exists."""
    node = "0" if "RANK" in os.environ else os.environ.get("NODE_RANK", "0")  # RANK counts over all nodes
    return getattr(rank_zero_only, "rank", 0) == 0 and node == "0"


def ignore_stray_ranks() -> None:
    """Make this the only process of a run, without the rank that another launcher left in the environment.

    UsageError where torchrun has started several processes, each of which would train alone.
    """
    processes = os.environ.get("WORLD_SIZE", "1")
    if distributed.is_torchelastic_launched() and processes != "1":
        advice = "give --gpus (on CPUs --trainer.devices) per node, and --num_nodes"
        raise UsageError(f"torchrun has started {processes} processes, but these settings are of one: {advice}")
    stray = ["RANK", "LOCAL_RANK", "NODE_RANK"]
    stray += [] if "SLURM_JOB_ID" in os.environ else ["SLURM_PROCID"]
    for name in stray:
        os.environ.pop(name, None)
    rank_zero_only.rank = 0  # pyright: ignore[reportFunctionMemberAccess]  # where Lightning keeps the rank


def set_threads(threads: int | None) -> None:
    """Set the CPU threads of this process and of those that it launches; None leaves them to torch and Lightning."""
    if threads is not None:
        torch.set_num_threads(threads)
        os.environ["OMP_NUM_THREADS"] = str(threads)  # else Lightning divides the cores among its processes


def filter_warnings() -> None:
    """Silence warnings of Lightning that do not apply here; the reason is beside each."""
    messages = (
        "does not have many workers",  # one process gathers thousands of crops a second
        "exists and is not empty",  # a resumed run continues in its folder
        "could not find the monitored key",  # no validation, which is logged already
        "loading a checkpoint outside the 'fit' stage",  # its weights are averaged already
        "treespec, LeafSpec",  # between Lightning and torch
        "number of training batches .* is smaller than the logging interval",
        "You defined a `validation_step` but have no `val_dataloader`",
        "Total length of `.*` across ranks is zero",
        r"recommended to use `self\.log\('(hours_heard|wall_hours|reference/)",  # one process logs these
        # those that save read the folder instead, and are called after their settings
        r'Be aware .* callbacks: \[("(Model|Best|Last)Checkpoint\{[^"]*"(, )?)+\]',
    )
    for message in messages:
        warnings.filterwarnings("ignore", message=f".*{message}")
    notices = (
        r"litlogger|litmodels|Tip:|set_float32_matmul_precision|"
        r"[GT]PU available: |Loading `train_dataloader` to estimate|`weights_only` was not set|"
        r"Restor(ing|ed all) states|`Trainer.fit` stopped"
    )
    for module in ("utilities.rank_zero", "trainer.connectors.checkpoint_connector"):
        logger = logging.getLogger(f"pytorch_lightning.{module}")
        logger.addFilter(lambda record: not re.search(notices, record.getMessage()))
