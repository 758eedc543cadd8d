"""A lock of a folder for one process at a time, which ends with its process."""

import errno
import fcntl
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from sequnet_pl.errors import UserError

_READ_ONLY = {errno.EROFS, errno.EACCES, errno.EPERM}
_HELD = {errno.EACCES, errno.EAGAIN}
_NO_LOCKS = {errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL, errno.EBADF}  # of some shared file systems

log = logging.getLogger(__name__)


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Reserve a folder for this process; wait for the process that has it.

    A folder that cannot be written needs no lock. Raise UserError where the lock cannot be made for other reasons.
    """
    file = _open(folder / ".lock")
    if file is None:
        yield
        return
    with file:
        # by lockf, not flock, which forked workers would inherit and hold after the end of this process
        kind = fcntl.LOCK_EX if file.writable() else fcntl.LOCK_SH
        try:
            fcntl.lockf(file, kind | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _HELD:
                log.warning("waiting for another process that makes %s", folder)
                fcntl.lockf(file, kind)
            elif error.errno in _NO_LOCKS:
                log.warning("%s is on a file system without locks; let only one process make it", folder)
            else:
                raise UserError(f"cannot lock {folder}: {error.strerror}; choose another folder") from error
        yield


def _open(path: Path) -> IO[bytes] | None:
    """Open a lock file, to read only where it is another user's; None where the folder cannot be written."""
    try:
        return path.open("ab")
    except OSError as error:
        if error.errno not in _READ_ONLY:
            raise UserError(f"cannot write {path.parent}: {error.strerror}; choose another folder") from error
    try:
        return path.open("rb")
    except OSError:
        return None
