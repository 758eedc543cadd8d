"""Decoding processes and their ffmpeg end with whoever wants their answers, even where ffmpeg says nothing for long."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sequnet_pl.data.store import workers
from sequnet_pl.data.store.index import Options

MAKE = """
import sys
from pathlib import Path
from sequnet_pl.data.store import make_store
make_store({"train": [Path(sys.argv[1])]}, Path(sys.argv[2]), workers=1, progress=False)
"""


@pytest.fixture
def making(tmp_path, monkeypatch):
    """A process that makes a store of a file at which ffmpeg hangs, and ffmpeg's own process number."""
    ffmpeg = tmp_path / "ffmpeg"
    lines = ["#!/bin/sh", "[ $1 = -version ] && exit", f"echo $$ > {tmp_path}/pid.new"]
    ffmpeg.write_text("\n".join([*lines, f"mv {tmp_path}/pid.new {tmp_path}/pid", "exec sleep 600", ""]))
    ffmpeg.chmod(0o755)
    (tmp_path / "a.m4a").write_bytes(b"x" * 100)
    process = subprocess.Popen(
        [sys.executable, "-c", MAKE, str(tmp_path / "a.m4a"), str(tmp_path / "store")],
        env={**os.environ, "IMAGEIO_FFMPEG_EXE": str(ffmpeg)},
        stderr=subprocess.DEVNULL,
    )
    while not (tmp_path / "pid").exists() and process.poll() is None:
        time.sleep(0.05)
    yield process, int((tmp_path / "pid").read_text())
    process.kill()
    process.wait()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds processes in /proc")
@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_nobody_is_left(making, signum):
    process, ffmpeg = making
    process.send_signal(signum)
    process.wait(60)
    for _ in range(300):
        try:
            ended = Path(f"/proc/{ffmpeg}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except FileNotFoundError:
            ended = True
        if ended:
            return
        time.sleep(0.1)
    pytest.fail(f"ffmpeg, process {ffmpeg}, outlives the process that wants its sound")


def test_what_a_killed_process_has_half_written_goes(tmp_path, monkeypatch):
    def killed(*_):
        (tmp_path / ".a-0123.codes").write_bytes(b"half")
        yield 0, "", -signal.SIGKILL

    monkeypatch.setattr(workers, "answers", killed)
    (tmp_path / "b.codes").write_bytes(b"whole")
    ((_, answer),) = workers.decode_all([workers.Job("a.wav")], tmp_path, Options(), 1)
    assert "died" in answer.skipped
    assert [path.name for path in tmp_path.iterdir()] == ["b.codes"]
