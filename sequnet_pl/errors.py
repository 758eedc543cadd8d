"""Errors that a user can correct: each is one clear line (what is wrong, where, what to do), never a traceback."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Something outside the program is wrong: a file, a folder, the data. Exit status 1."""

    exit_status = 1


class UsageError(UserError, ValueError):
    """The command line or an argument is wrong. Exit status 2."""

    exit_status = 2


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return the question whether a similar known word was meant, or nothing."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.75)
    return f"; did you mean {close[0]}?" if close else ""
