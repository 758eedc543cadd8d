"""The end of every command: its exit status, and one line for an error that a user can correct."""

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
from sequnet_pl.interrupts import ENDING, handling, print_ending
from sequnet_pl.printing import LineFormatter, make_streams_safe, printable

_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)  # full, or read-only


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP, with the same clean-up as after Ctrl-C."""

    def __init__(self, signum: int) -> None:
        super().__init__()
        self.signum = signum


def exit_main(name: str, function: Callable[[list[str]], int | None], argv: list[str]) -> NoReturn:
    """Run a command and exit with its status."""
    sys.exit(run_main(name, function, argv))


def run_main(name: str, function: Callable[[list[str]], int | None], argv: list[str]) -> int:
    """Run a command on its arguments and give its exit status; a user's mistake is one line on stderr."""
    sequnet_pl.loaded()
    make_streams_safe()
    handler = logging.StreamHandler()
    handler.setFormatter(LineFormatter())
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    try:
        with handling(ENDING, _terminate):
            if argv == ["--version"]:
                print(sequnet_pl.__version__)  # noqa: T201
                return 0
            status = function(argv) or 0
            sys.stdout.flush()  # here, where it may fail
            return status
    except KeyboardInterrupt as error:
        signum = error.signum if isinstance(error, Terminated) else signal.SIGINT
        print_ending(name, signum)
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
