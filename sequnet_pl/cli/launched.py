"""The processes of one run: who launched this one, and whether it is the one that writes."""

import os

from lightning_fabric.utilities.rank_zero import rank_zero_only

from sequnet_pl.processes import end_with_parent

_LAUNCHER = "SEQUNET_PL_LAUNCHER"  # in the environment: the process whose children inherit it


def tie_to_launcher() -> None:
    """Let the processes that Lightning launches end with the one that launches them."""
    if os.environ.get(_LAUNCHER) == str(os.getppid()):
        end_with_parent()
    os.environ[_LAUNCHER] = str(os.getpid())


def first_process() -> bool:
    """Whether this is the process of a run that writes, before the trainer could say."""
    return getattr(rank_zero_only, "rank", 0) == 0 and os.environ.get("NODE_RANK", "0") == "0"
