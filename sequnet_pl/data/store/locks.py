"""A lock of a folder for one process at a time, which ends with its process."""

import errno
import fcntl
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

log = logging.getLogger(__name__)


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Reserve a folder for this process; wait for the process that has it.

    A folder that cannot be written needs no lock; on a file system without locks, a warning is logged.
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
            if error.errno in (errno.EACCES, errno.EAGAIN):
                log.warning("waiting for another process that makes %s", folder)
                fcntl.lockf(file, kind)
            else:
                log.warning("%s is on a file system without locks; let only one process make it", folder)
        yield


def _open(path: Path) -> IO[bytes] | None:
    """Open a lock file, to read only where it is another user's; None where the folder cannot be written."""
    for mode in ("ab", "rb"):
        with suppress(OSError):
            return path.open(mode)
    return None
