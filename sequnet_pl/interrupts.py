"""A command that is interrupted while its modules are imported ends at once, with one line.

An exception would not do: it may come where it is swallowed, as in the clean-up of an object.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

ENDING = (signal.SIGTERM, signal.SIGHUP)
"""Signals that end a process, beside an interrupt from the keyboard."""

Handler = Callable[[int, FrameType | None], object]


def print_ending(name: str, signum: int) -> None:
    """Print which signal ends a command: one line of all processes of a run."""
    if os.environ.get("LOCAL_RANK", "0") == "0":
        print(f"{name}: {'interrupted' if signum == signal.SIGINT else 'terminated'}", file=sys.stderr, flush=True)  # noqa: T201


@contextmanager
def handling(signums: Sequence[signal.Signals], handler: Handler) -> Iterator[None]:
    """Handle signals meanwhile, except those that are ignored, as by nohup; only the main thread can."""
    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {n: signal.getsignal(n) for n in signums if signal.getsignal(n) is not signal.SIG_IGN}
    try:
        for signum in before:
            signal.signal(signum, handler)
        yield
    finally:
        for signum, earlier in before.items():
            signal.signal(signum, earlier)


@contextmanager
def loading(name: str) -> Iterator[None]:
    """While the modules of a command are imported."""

    def end(signum: int, frame: FrameType | None) -> None:
        print_ending(name, signum)
        os._exit(128 + signum)

    with handling((signal.SIGINT, *ENDING), end):
        yield


def module_to_run() -> str | None:
    """The module of this package that `python -m` is about to run, and whose packages it imports before."""
    index = sys.orig_argv.index("-m") + 1 if sys.argv[:1] == ["-m"] else 0
    named = sys.orig_argv[index : index + 1]
    return named[0] if index and named and named[0].startswith("sequnet_pl.") else None
