"""Processes that help another one: they leave the signals of its group to it, and end when it does."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What a terminal, `timeout`, a cluster or a container sends to all processes of a group."""


@contextmanager
def shielded() -> Iterator[None]:
    """Processes that are started meanwhile never see the group's signals; this one sees them afterwards."""
    resource_tracker.ensure_running()  # which would unblock signals when it is started
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_with_parent(ended: Callable[[], object] = lambda: os._exit(1)) -> None:
    """Call `ended` in a thread once the process that started this one is gone; by default this one ends at once."""
    parent = multiprocessing.parent_process()
    # a process of multiprocessing may be the child of another one than that which started it
    wait = parent.join if parent else _orphaned

    def watch() -> None:
        wait()
        ended()

    threading.Thread(target=watch, daemon=True).start()


def _orphaned() -> None:
    """Return once the parent has changed."""
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(0.5)
