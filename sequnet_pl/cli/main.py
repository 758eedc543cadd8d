"""How every command ends: its exit status, and one line for what a user can mend."""

import atexit
import errno
import logging
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

import sequnet_pl
from sequnet_pl.errors import UserError
from sequnet_pl.interrupts import ENDING, Handler, handling, say
from sequnet_pl.printing import LineFormatter, make_streams_safe, printable

_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)  # full, or read-only


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP, so that whatever cleans up after Ctrl-C does after these too."""

    def __init__(self, signum: int) -> None:
        super().__init__()
        self.signum = signum


def exit_main(name: str, function: Callable[[list[str]], int | None], argv: list[str]) -> NoReturn:
    """`run_main` as all that a process does: a signal after it may hasten the end, but not change the status."""
    atexit.register(_end_by, signal.SIG_IGN)  # runs last; then Python would set the handlers that it found
    try:
        status = run_main(name, function, argv)
    except SystemExit as error:
        if not isinstance(error.code, int):
            raise
        status = error.code
    _end_by(lambda signum, frame: os._exit(status))
    sys.exit(status)


def run_main(name: str, function: Callable[[list[str]], int | None], argv: list[str]) -> int:
    """Run a command on its arguments and give its exit status; a user's mistake is one line on stderr."""
    sequnet_pl.loaded()
    make_streams_safe()
    handler = logging.StreamHandler()
    handler.setFormatter(LineFormatter())
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    try:
        with handling(ENDING, _terminate):
            status = function(argv) or 0
            sys.stdout.flush()  # here, where it may fail
            return status
    except KeyboardInterrupt as error:
        signum = error.signum if isinstance(error, Terminated) else signal.SIGINT
        say(name, signum)
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


def _end_by(handler: Handler | signal.Handlers) -> None:
    for signum in (signal.SIGINT, *ENDING):
        signal.signal(signum, handler)


def _terminate(signum: int, frame: FrameType | None) -> None:
    raise Terminated(signum)


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
