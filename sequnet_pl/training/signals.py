"""Signals that ask a run to end, and the one that SLURM sends before a job's time is over: noticed at once, heeded
between two batches."""

import logging
import os
import signal
import socket
import subprocess
import threading
import time
from contextlib import suppress
from types import FrameType
from typing import NoReturn

import pytorch_lightning as pl
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from pytorch_lightning.utilities.exceptions import SIGTERMException

log = logging.getLogger(__name__)

_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_ONE = 0.2  # seconds within which two interrupts are one: `timeout` sends it to the process and to its group


def exit_status(signum: int) -> int:
    """The exit status of a process that ends as a signal asks."""
    return 128 + signum


class Signals:
    """What has been asked of this process by signals.

    Lightning's own handlers talk to other processes, or save, in the middle of whatever is being computed; these only
    take a note. A second interrupt from the keyboard ends the process at once, whatever it is waiting for.
    """

    def __init__(self) -> None:
        self.stop = 0  # the exit status to end with
        self.requeue = False

    def listen(self, trainer: pl.Trainer) -> None:
        """Take over from Lightning's handlers, until the trainer ends, which sets the earlier ones again."""
        if threading.current_thread() is not threading.main_thread():
            return
        for signum in _ENDING:
            if signal.getsignal(signum) is not signal.SIG_IGN:  # as in the background, or under nohup
                signal.signal(signum, self._on_stop)
        environment = trainer._accelerator_connector.cluster_environment
        if isinstance(environment, SLURMEnvironment) and environment.auto_requeue and environment.requeue_signal:
            signal.signal(environment.requeue_signal, self._on_requeue)
        if signal.getsignal(signal.SIGINT) == self._on_stop:
            _watch_interrupts(trainer)

    def _on_stop(self, signum: int, frame: FrameType | None) -> None:
        self.stop = self.stop or exit_status(signum)

    def _on_requeue(self, signum: int, frame: FrameType | None) -> None:
        self.stop, self.requeue = exit_status(signal.SIGTERM), True


def _watch_interrupts(trainer: pl.Trainer) -> None:
    """Answer interrupts in a thread until the trainer ends: Python handles them in the main one, which may be busy."""
    bell, heard = socket.socketpair()
    bell.setblocking(False)
    before = signal.set_wakeup_fd(bell.fileno(), warn_on_full_buffer=False)  # the system's own handler writes there
    connector = trainer._signal_connector
    restore_handlers = connector.teardown

    def teardown() -> None:
        signal.set_wakeup_fd(before)
        bell.close()
        restore_handlers()

    connector.teardown = teardown
    threading.Thread(target=_watch, args=(heard, trainer.is_global_zero), daemon=True).start()


def _watch(heard: socket.socket, says: bool) -> None:
    with heard:
        interrupted = False
        while signums := heard.recv(1):
            if signums[0] != signal.SIGINT:
                continue
            if interrupted:
                os._exit(exit_status(signal.SIGINT))
            interrupted = True
            time.sleep(_ONE)
            with suppress(BlockingIOError):
                heard.recv(4096, socket.MSG_DONTWAIT)
            if says:
                log.warning("interrupted: the run ends after this step, saved; a second time ends it at once")


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


def end(trainer: pl.Trainer, status: int) -> NoReturn:
    """End this process with the status that a signal asks for. Always raises."""
    environment = trainer._accelerator_connector.cluster_environment
    # a process that Lightning launched ends without complaint: Lightning kills all where one complains
    launched = isinstance(environment, LightningEnvironment) and trainer.local_rank > 0
    raise SIGTERMException(0 if launched else status)
