"""Locks on folders that die with their holder, whatever kills it; nobody waits for one."""

import fcntl
import logging
import os
import socket
from pathlib import Path
from typing import TextIO

from sequnet_pl.errors import UsageError, UserError

NAME = ".lock"

log = logging.getLogger(__name__)


class HeldError(UsageError):
    """Another process that lives has the lock of `folder`."""

    def __init__(self, folder: Path, holder: str) -> None:
        super().__init__(f"{folder} is in use by {holder}: wait for its end, or name another one")
        self.folder = folder


class FolderLock:
    """A lock on a folder, from now until it is released or this process is gone; forked processes do not have it.

    Args:
        folder: The folder, which is there.

    Attributes:
        note: What the last one who had it has noted.

    Raises:
        HeldError: Another process has it.
        UserError: The folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._file = self._opened(folder)
        _, _, self.note = self._file.read().partition("\n")
        self.write(self.note)

    def write(self, note: str) -> None:
        """Say who has the lock, and keep a note for those who have it later."""
        self._file.seek(0)
        self._file.truncate()
        self._file.write(f"process {os.getpid()} on {socket.gethostname()}\n{note}")
        self._file.flush()

    def _opened(self, folder: Path) -> TextIO:
        while True:
            try:
                file = os.fdopen(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666), "r+", encoding="utf-8")
            except OSError as error:
                raise UserError(f"cannot write {self._path}: {error.strerror}; choose another folder") from error
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError) as error:
                with file:
                    raise HeldError(folder, file.readline().strip() or "another process") from error
            except OSError as error:  # some network disks know no locks
                log.warning("cannot lock %s (%s): take care that one process at a time uses it", folder, error.strerror)
                return file
            # one who had it may have removed the file meanwhile
            if _same(file, self._path):
                return file
            file.close()

    def release(self, remove: bool = False) -> None:
        """Let others have it; with `remove` nothing is left of it."""
        if remove:
            self._path.unlink(missing_ok=True)
        self._file.close()


def _same(file: TextIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
