"""One process at a time makes a store, and no map goes that another still reads: locks that die with their holders."""

import errno
import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from sequnet_pl.errors import UserError

_READ_ONLY = {errno.EROFS, errno.EACCES, errno.EPERM}
_NO_LOCKS = {errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL, errno.EBADF}  # of some shared file systems

log = logging.getLogger(__name__)


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Keep a folder to this process; waits for the one that has it.

    A folder that cannot be written needs no lock: nobody here can change it. Raises UserError where the lock cannot be
    made for other reasons.
    """
    file = _open(folder / ".lock")
    if file is None:
        yield
        return
    with file:
        try:
            _wait(file, folder)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise UserError(f"cannot lock {folder}: {error.strerror}; choose another folder") from error
            log.warning("%s: its file system knows no locks; let only one process make it at a time", folder)
        yield


def _open(path: Path) -> IO[str] | None:
    try:
        return path.open("a")
    except OSError as error:
        if error.errno not in _READ_ONLY:
            raise UserError(f"cannot write {path}: {error.strerror}; choose another folder") from error
    try:
        return path.open()  # somebody else's, and theirs to hold
    except OSError:
        return None


def _wait(file: IO[str], folder: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        log.warning("waiting for another process that makes %s", folder)
        fcntl.flock(file, fcntl.LOCK_EX)


def hold(path: Path) -> IO[bytes] | None:
    """Keep a file from `remove` until what this gives is closed, or the process ends; None where it is gone."""
    try:
        file = path.open("rb")
    except OSError:
        return None
    with suppress(OSError):  # without locks nothing is removed
        fcntl.flock(file, fcntl.LOCK_SH)
    try:
        if os.path.samestat(os.fstat(file.fileno()), path.stat()):
            return file
    except OSError:
        pass  # it went meanwhile
    file.close()
    return None


def remove(path: Path) -> None:
    """Remove a file, unless somebody holds it, or nobody can tell."""
    with suppress(OSError), path.open("r+b") as file:  # an exclusive lock on NFS wants a file to write
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()
