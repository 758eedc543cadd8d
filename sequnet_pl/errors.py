"""Errors that a user can mend: each is one clear line (what is wrong, where, what to do), never a traceback."""


class UserError(Exception):
    """Something outside the program is wrong: a file, a folder, the data. Exit status 1."""

    exit_status = 1


class UsageError(UserError, ValueError):
    """The command line or an argument is wrong. Exit status 2."""

    exit_status = 2
