"""Make names and messages printable: on any terminal, in a log, in a text file.

A file name may hold bytes that are no text (they reach Python as lone surrogates), ends of lines and a terminal's own
commands; and a terminal or a pipe may know fewer characters than a name has.
"""

import copy
import io
import logging
import os
import re
import sys
from numbers import Number
from pathlib import Path
from typing import Any

_NOT_SHOWN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def printable(text: object) -> str:
    """A name, path or message as one line that every text file can hold; what it cannot is escaped as in Python."""
    return _NOT_SHOWN.sub(lambda found: found[0].encode("unicode_escape").decode(), str(text))


class LineFormatter(logging.Formatter):
    """Formats messages with printable arguments."""

    def format(self, record: logging.LogRecord) -> str:
        """See logging.Formatter; the record itself stays as it is."""
        shown = copy.copy(record)
        if isinstance(record.args, tuple):  # numbers, NumPy's among them, have their own formats
            shown.args = tuple(arg if isinstance(arg, Number) else printable(arg) for arg in record.args)
        return super().format(shown)


class _Output(io.FileIO):
    """A file whose further output is discarded when its reader has gone."""

    def write(self, data: Any) -> int:  # type: ignore[override]
        """Write bytes, and return their number."""
        try:
            return super().write(data)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())
            return len(data)


def outlive_readers() -> None:
    """Let this process continue without output if a reader of its standard streams ends, as `head` does."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper) and not stream.isatty():
            raw = io.BufferedWriter(_Output(stream.fileno(), "w", closefd=False))
            buffering = stream.line_buffering
            setattr(sys, name, io.TextIOWrapper(raw, stream.encoding, stream.errors, line_buffering=buffering))


def make_streams_safe() -> None:
    """Open closed standard streams on the null device, and escape characters that their encoding lacks."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by a daemon or a shell
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115  # open to the end
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
