"""SIGTERM, and the signal that SLURM sends before a job's time is over: noticed at once, heeded between two batches."""

import logging
import os
import signal
import subprocess
import threading
from types import FrameType
from typing import NoReturn

import pytorch_lightning as pl
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from pytorch_lightning.utilities.exceptions import SIGTERMException

log = logging.getLogger(__name__)

EXIT_STATUS = 128 + signal.SIGTERM


class Signals:
    """What has been asked of this process by signals.

    Lightning's own handlers talk to other processes, or save, in the middle of whatever is being computed; these only
    take a note.
    """

    def __init__(self) -> None:
        self.stop = False
        self.requeue = False

    def listen(self, trainer: pl.Trainer) -> None:
        """Take over from Lightning's handlers; the trainer sets the earlier ones again when it ends."""
        if threading.current_thread() is not threading.main_thread():
            return
        signal.signal(signal.SIGTERM, self._on_stop)
        environment = trainer._accelerator_connector.cluster_environment
        if isinstance(environment, SLURMEnvironment) and environment.auto_requeue and environment.requeue_signal:
            signal.signal(environment.requeue_signal, self._on_requeue)

    def _on_stop(self, signum: int, frame: FrameType | None) -> None:
        self.stop = True

    def _on_requeue(self, signum: int, frame: FrameType | None) -> None:
        self.stop = self.requeue = True


def requeue_job() -> None:
    """Ask SLURM to run this job again."""
    job = os.environ["SLURM_JOB_ID"]
    if array := os.environ.get("SLURM_ARRAY_JOB_ID"):
        job = f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    try:
        done = subprocess.run(["scontrol", "requeue", job], capture_output=True, text=True, check=False)
        failure = done.stderr.strip() if done.returncode else ""
    except OSError as error:
        failure = str(error)
    log.warning("could not requeue job %s: %s", job, failure) if failure else log.warning("requeued job %s", job)


def end(trainer: pl.Trainer) -> NoReturn:
    """End this process as SIGTERM asks. Always raises."""
    environment = trainer._accelerator_connector.cluster_environment
    # a process that Lightning launched ends without complaint: Lightning kills all where one complains
    launched = isinstance(environment, LightningEnvironment) and trainer.local_rank > 0
    raise SIGTERMException(0 if launched else EXIT_STATUS)
