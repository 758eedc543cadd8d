"""Locks die with their holder, and with nobody else."""

import os
import signal
import subprocess
import sys

import pytest
from sequnet_pl.locks import FolderLock, HeldError

from sequnet_pl.errors import UserError

HOLD = """
import os, sys
from pathlib import Path
from sequnet_pl.locks import FolderLock
lock = FolderLock(Path(sys.argv[1]))
lock.write("a note")
child = os.fork()  # as a worker, which lives on
if not child:
    os.close(1)
    os.read(0, 1)
    os._exit(0)
print("held", flush=True)
os.read(0, 1)
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_lock_is_refused_as_long_as_its_holder_lives(tmp_path, holder):
    with pytest.raises(HeldError, match=f"{tmp_path} is in use by process {holder.pid} on "):
        FolderLock(tmp_path)
    holder.send_signal(signal.SIGKILL)
    holder.wait()  # its child lives
    lock = FolderLock(tmp_path)
    assert lock.note == "a note"
    lock.release(remove=True)
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_its_holder_removes_is_no_lock(tmp_path, monkeypatch):
    """Between opening and locking, the one who had it removes it."""
    first, real, seen = FolderLock(tmp_path), os.open, []

    def opened(*arguments):
        descriptor = real(*arguments)
        if not seen:
            seen.append(descriptor)
            first.release(remove=True)
        return descriptor

    monkeypatch.setattr(os, "open", opened)
    lock = FolderLock(tmp_path)
    assert (tmp_path / ".lock").is_file()
    lock.release()


def test_disks_without_locks(tmp_path, monkeypatch, caplog):
    def refused(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.lockf", refused)
    FolderLock(tmp_path).release()
    assert "No locks available" in caplog.text


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / ".lock").mkdir()
    with pytest.raises(UserError, match="cannot write"):
        FolderLock(tmp_path)
