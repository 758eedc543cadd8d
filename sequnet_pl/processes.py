"""Processes that help another one: they leave the signals of its group to it, and end when it does."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from typing import IO

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What a terminal, `timeout`, a cluster or a container sends to all processes of a group."""
_GRACE = 2.0  # seconds to remove what is unfinished in
_ROOT = str(Path(__file__).parents[1])


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def answers(
    module: str, arguments: Sequence[str], jobs: Sequence[str], count: int
) -> Generator[tuple[int, str, int | None]]:
    """Yield the place of every job, its answer and None as they come, from at most `count` processes at a time.

    Each process is `python -m module arguments...`, and answers each line that it reads with a line. One that dies
    (killed for its memory, a crash in C) costs the one job that it was at, whose answer is empty, with the status. When
    the caller stops early, Ctrl-C included, the processes are ended.
    """
    waiting = deque(enumerate(jobs))
    busy: dict[subprocess.Popen[str], int] = {}
    with DefaultSelector() as selector:
        try:
            while waiting or busy:
                while waiting and len(busy) < count:
                    process = _start(module, arguments)
                    selector.register(_pipe(process), EVENT_READ, process)
                    busy[process] = _send(process, *waiting.popleft())
                for key, _ in selector.select():
                    process: subprocess.Popen[str] = key.data
                    job = busy.pop(process)
                    line = _pipe(process).readline()
                    if line and waiting:
                        busy[process] = _send(process, *waiting.popleft())
                    else:
                        selector.unregister(_pipe(process))
                        _end(process)
                    yield job, line, None if line else process.returncode
        finally:
            for process in busy:
                process.terminate()
            for process in busy:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(_GRACE)
                with suppress(ProcessLookupError):  # in C it hears of nothing while what it started is silent
                    os.killpg(process.pid, signal.SIGKILL)
                _end(process)


def _start(module: str, arguments: Sequence[str]) -> subprocess.Popen[str]:
    paths = [_ROOT, *filter(None, [os.environ.get("PYTHONPATH")])]
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        # A Ctrl-C reaches the parent alone: an ffmpeg that got it too would end early, as if its file did.
        start_new_session=True,
    )


def _pipe(process: subprocess.Popen[str]) -> IO[str]:
    assert process.stdout is not None
    return process.stdout


def _send(process: subprocess.Popen[str], place: int, job: str) -> int:
    assert process.stdin is not None
    with suppress(BrokenPipeError):  # it died, which reading its answer will show
        process.stdin.write(job + "\n")
        process.stdin.flush()
    return place


def _end(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    with suppress(BrokenPipeError):
        process.stdin.close()
    process.wait()
    _pipe(process).close()


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
