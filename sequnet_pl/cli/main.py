"""How every command ends: its exit status, and one line for what a user can mend."""

import errno
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from sequnet_pl.errors import UserError
from sequnet_pl.printing import LineFormatter, make_streams_safe, printable

_ENDING = (signal.SIGTERM, signal.SIGHUP)
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)  # full, or read-only


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP, so that whatever cleans up after Ctrl-C does after these too."""

    def __init__(self, signum: int) -> None:
        super().__init__()
        self.signum = signum


def run_main(name: str, function: Callable[[list[str]], int | None], argv: list[str]) -> int:
    """Run a command on its arguments and give its exit status; a user's mistake is one line on stderr."""
    make_streams_safe()
    handler = logging.StreamHandler()
    handler.setFormatter(LineFormatter())
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    try:
        with _handling(_ENDING, _terminate):
            status = function(argv) or 0
            sys.stdout.flush()  # here, where it may fail
            return status
    except KeyboardInterrupt as error:
        signum = error.signum if isinstance(error, Terminated) else signal.SIGINT
        _say(name, signum)
        return 128 + signum
    except BrokenPipeError:  # the reader of our output has gone, as `head` does
        _discard_output()
        return 141
    except Exception as error:
        mistake = _mistake(error)
        if mistake is None:
            raise
        if isinstance(error, OSError) and not error.filename:
            _discard_output()  # which would fail again when Python ends
        print(f"{name}: error: {printable(mistake)}", file=sys.stderr)  # noqa: T201
        return mistake.exit_status


@contextmanager
def loading(name: str) -> Iterator[None]:
    """While modules are imported: a signal ends the command at once, with its line.

    An exception would not do: it may come where it is swallowed, as in the clean-up of an object.
    """

    def end(signum: int, frame: FrameType | None) -> None:
        _say(name, signum)
        os._exit(128 + signum)

    with _handling((signal.SIGINT, *_ENDING), end):
        yield


@contextmanager
def _handling(signums: tuple[int, ...], handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
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


def _terminate(signum: int, frame: FrameType | None) -> None:
    raise Terminated(signum)


def _say(name: str, signum: int) -> None:
    if os.environ.get("LOCAL_RANK", "0") == "0":  # one line of all processes of a run
        print(f"{name}: {'interrupted' if signum == signal.SIGINT else 'terminated'}", file=sys.stderr, flush=True)  # noqa: T201


def _discard_output() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _mistake(error: BaseException | None) -> UserError | None:
    """The user's mistake that an exception is or comes from: libraries wrap what is raised inside them."""
    while error is not None and not isinstance(error, UserError):
        if isinstance(error, OSError) and error.errno in _DISK:
            where = error.filename or "the output"
            return UserError(f"cannot write {where}: {error.strerror}; free some space or choose another folder")
        error = error.__cause__
    return error
