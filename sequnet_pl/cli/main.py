"""How every command ends: its exit status, and one line for what a user can mend."""

import logging
import os
import sys
from collections.abc import Callable

from sequnet_pl.errors import UserError
from sequnet_pl.printing import LineFormatter, make_streams_safe, printable


def run_main(name: str, function: Callable[[list[str]], int | None], argv: list[str]) -> int:
    """Run a command on its arguments and give its exit status; a user's mistake is one line on stderr."""
    make_streams_safe()
    handler = logging.StreamHandler()
    handler.setFormatter(LineFormatter())
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    try:
        return function(argv) or 0
    except KeyboardInterrupt:
        print(f"{name}: interrupted", file=sys.stderr)  # noqa: T201
        return 130
    except BrokenPipeError:  # the reader of our output has gone, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:
        mistake = _mistake(error)
        if mistake is None:
            raise
        print(f"{name}: error: {printable(mistake)}", file=sys.stderr)  # noqa: T201
        return mistake.exit_status


def _mistake(error: BaseException | None) -> UserError | None:
    """The user's mistake that an exception is or comes from: libraries wrap what is raised inside them."""
    while error is not None and not isinstance(error, UserError):
        error = error.__cause__
    return error
