"""Opening files that anybody may have put there, and telling a file that is bad from a time that is."""

import os
import stat
from io import BufferedReader
from pathlib import Path

from sequnet_pl.errors import UserError

_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}


class Unavailable(UserError):
    """A file cannot be read now, and may be another time: no permission, no ffmpeg, no memory. `reason` says why."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"cannot read {path}: {reason}")
        self.reason = reason


def open_regular(path: Path) -> BufferedReader:
    """Open a regular file to read. Raises Unavailable for anything else: a pipe would keep its reader waiting."""
    try:
        _check(path, path.stat().st_mode)  # before it is opened, which some devices notice
        file = os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb")
        try:
            _check(path, os.fstat(file.fileno()).st_mode)  # another may have taken its place meanwhile
        except BaseException:
            file.close()
            raise
    except OSError as error:
        raise Unavailable(path, error.strerror or str(error)) from error
    return file


def _check(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise Unavailable(path, f"it is {_KINDS.get(stat.S_IFMT(mode), 'something else')}, no file")
