"""Processes that help another one: they leave the signals of its group to it, and end when it does."""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import TypeVar

Job = TypeVar("Job")
Made = TypeVar("Made")

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
"""Signals that a terminal, `timeout`, a cluster or a container sends to all processes of a group."""


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_all(
    function: Callable[[Job], Made], jobs: Sequence[Job], workers: int
) -> Generator[tuple[Job, Made | Exception]]:
    """Yield each job with the result of `function`, or with the exception that it raised, as they are completed.

    `workers` processes run the function, which must be picklable, as are its jobs, results and exceptions. Where a
    process dies (killed for its memory, a crash in C), the jobs under way are retried one by one; a job whose process
    dies again has a BrokenProcessPool. When the caller stops early, Ctrl-C included, the processes are ended.
    """
    waiting = deque(jobs)
    while waiting:
        lost = yield from _run(function, waiting, min(workers, len(waiting)))
        for job in lost:
            if (yield from _run(function, deque([job]), 1)):
                yield job, BrokenProcessPool("its process died")


def _run(
    function: Callable[[Job], Made], waiting: deque[Job], workers: int
) -> Generator[tuple[Job, Made | Exception], None, list[Job]]:
    """Run jobs until none is waiting or a process dies; return those that were under way then."""
    # Forked on Linux, as by DataLoader: a spawned process imports the caller's script, which may lack a __main__ guard.
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    others = set(multiprocessing.active_children())
    busy: dict[Future[Made], Job] = {}
    pool = ProcessPoolExecutor(workers, context, _begin_work)
    is_finished = False
    try:
        while waiting or busy:
            while waiting and len(busy) < workers:
                busy[pool.submit(_work, function, waiting[0])] = waiting[0]
                waiting.popleft()
            done, _ = wait(busy, return_when=FIRST_COMPLETED)
            for future in done:
                error = future.exception()
                if isinstance(error, BrokenProcessPool):
                    continue
                job = busy.pop(future)
                yield job, error if isinstance(error, Exception) else future.result()
            if any(isinstance(future.exception(), BrokenProcessPool) for future in done):
                break
        is_finished = True
        return list(busy.values())
    except BrokenProcessPool:  # a submission found it broken
        return list(busy.values())
    finally:
        if not is_finished:
            for process in set(multiprocessing.active_children()) - others:
                process.terminate()
        pool.shutdown(cancel_futures=True)


def _begin_work() -> None:
    for signum in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):  # sent to the whole group; the parent decides
        signal.signal(signum, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # removes unfinished files on its way
    end_with_parent()


def _work(function: Callable[[Job], Made], job: Job) -> Made:
    try:
        return function(job)
    except SystemExit:
        os._exit(1)  # the pool would take it for a result


@contextmanager
def shielded() -> Iterator[None]:
    """Processes that are started meanwhile never see the group's signals; this one sees them afterwards."""
    resource_tracker.ensure_running()  # which would unblock signals when it is started
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_with_parent() -> None:
    """End this process at once when the process that started it is gone."""
    parent = multiprocessing.parent_process()
    # a process of multiprocessing may be the child of another one than that which started it
    wait = parent.join if parent else _orphaned

    def watch() -> None:
        wait()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _orphaned() -> None:
    """Return once the parent has changed."""
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(0.5)
