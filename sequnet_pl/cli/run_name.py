"""What a run is called where nobody says: the same in all its processes, wherever they were started."""

import os
from collections.abc import Mapping
from datetime import datetime

from torch import distributed

from sequnet_pl.errors import UsageError


def job_name(environment: Mapping[str, str] = os.environ) -> str | None:
    """The name that SLURM gives: the same in all tasks of a job, and when it is queued again; None elsewhere."""
    if "SLURM_PROCID" not in environment or environment.get("SLURM_JOB_NAME") in ("bash", "interactive"):
        return None
    if array := environment.get("SLURM_ARRAY_JOB_ID"):
        return f"job-{array}_{environment['SLURM_ARRAY_TASK_ID']}"
    return f"job-{environment['SLURM_JOB_ID']}"


def new_name(nodes: int = 1) -> str:
    """The job's name, else date and time. UsageError for several nodes whose processes cannot agree on it."""
    if name := job_name():
        return name
    now = f"{datetime.now():%Y-%m-%d_%H-%M-%S}"
    if distributed.is_torchelastic_launched():
        address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        # torchrun keeps a store for its processes, also while it starts them again: the first one's name holds
        store = distributed.TCPStore(address, port, is_master=False)  # pyright: ignore[reportPrivateImportUsage]
        return store.compare_set("sequnet_pl/run_name", "", now).decode()
    if nodes > 1:
        raise UsageError("name the run with --name, the same on every node")
    return now
