"""Groups of processes as torchrun makes them."""

import multiprocessing
import os
import socket
import sys
from pathlib import Path

import torch


class Group:
    """Processes of one run, as torchrun starts them, without waiting for imports: copies of one that has done them."""

    def __init__(self, folder, world, function, *arguments):
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["sequnet_pl.cli.train", "torch.distributed", "matplotlib.pyplot"])
        with socket.socket() as free:
            free.bind(("localhost", 0))
            port = free.getsockname()[1]
        self.logs = [Path(folder) / f"process-{rank}.txt" for rank in range(world)]
        self.processes = [
            context.Process(
                target=_enter, args=(rank, world, port, dict(os.environ), str(self.logs[rank]), function, arguments)
            )
            for rank in range(world)
        ]
        for process in self.processes:
            process.start()

    def wait(self):
        """Exit statuses, and what each has written."""
        for process in self.processes:
            process.join(240)
        statuses = [process.exitcode for process in self.processes]
        for process in self.processes:
            process.kill()
        return statuses, [log.read_text() for log in self.logs]


def _enter(rank, world, port, environment, log, function, arguments):
    os.environ.clear()  # which the server of forks keeps from the first group
    os.environ.update(environment)
    with Path(log).open("wb", buffering=0) as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    if world > 1:
        os.environ |= {
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(world),
            "LOCAL_WORLD_SIZE": str(world),
            "GROUP_RANK": "0",
            "MASTER_ADDR": "localhost",
            "MASTER_PORT": str(port),
            "TORCHELASTIC_RUN_ID": "test",
        }
    from lightning_fabric.utilities.rank_zero import rank_zero_only

    rank_zero_only.rank = rank  # set when it was imported, before there were ranks
    multiprocessing.set_start_method("fork", force=True)  # as in a run, else workers outlive a killed process
    torch.set_num_threads(1)
    sys.argv = ["train.py"]
    status = function(*arguments)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status or 0)
