"""Many jobs on one store: complete, it needs no lock and no disk to write on; what one reads no other removes."""

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest
from small_stores import make, noise

from sequnet_pl.data.download.items import PIANO_LIST, read_list
from sequnet_pl.data.sources import choose
from sequnet_pl.data.store.appending import lock


def test_a_complete_store_waits_for_nobody(tmp_path: Path, five: list[Path], caplog: pytest.LogCaptureFixture):
    made = make(tmp_path / "store", five)
    with lock(tmp_path / "store"):  # another job makes it larger, which takes hours
        assert make(tmp_path / "store", five).recordings == made.recordings
    assert not caplog.records


CODE = """
import ast, sys
from sequnet_pl.data import builtin
from sequnet_pl.data.builtin.pieces import Piece
from sequnet_pl.data.download import fetch
from sequnet_pl.data.stored import StoredRecordings
builtin.PIECES = [Piece(split, split, 240, 4, "c4:1 e g c5", "C", ((0,), (1, 2)), 1) for split in ("train", "val")]
fetch.fetch_all = lambda *_: "the server is down"
for data_dir, options in ast.literal_eval(sys.argv[1]).items():
    data = StoredRecordings(data_dir=data_dir, **options)
    data.make()
    print(data.fingerprint, {name: len(split.codes) for name, split in data.splits.items()})
"""


def test_complete_stores_on_a_disk_that_cannot_be_written(tmp_path: Path, five: list[Path], unprivileged: list[str]):
    """Of each kind of recordings there is; of those to download two are there, and the others could not be had."""
    data, urls = tmp_path / "data", tmp_path / "list.txt"
    urls.write_text("http://127.0.0.1:9/a.wav\nhttp://127.0.0.1:9/b.wav\n")
    recordings = choose(data / "recordings", 16_000, "piano", None, None, str(urls))
    for folder, items in {data / "piano/recordings": PIANO_LIST, recordings.roots[0]: urls}.items():
        for number, item in enumerate(read_list(items)[:2]):
            noise(folder / item.split / f"{item.stem}.wav", seed=7 + number)
    kinds = {"audio_dir": {"audio_dir": str(five[0].parent)}, "recordings": {"recordings": str(urls)}}
    kinds |= {kind: {"dataset": kind} for kind in ("builtin", "piano")}
    kinds = {str(data / kind): options for kind, options in kinds.items()}

    def printed() -> str:
        command = [*unprivileged, sys.executable, "-c", CODE, repr(kinds)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    first = printed()
    assert len(first.splitlines()) == len(kinds)
    for path in data.rglob(".lock"):
        path.unlink()
    paths = [data, *data.rglob("*")]
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        assert printed() == first
    finally:
        for path in paths:
            path.chmod(0o755)
    assert not list(data.rglob(".lock"))


def test_another_ones_lock_is_waited_for_and_one_that_cannot_be_made_is_not_needed(
    tmp_path: Path, unprivileged: list[str]
):
    code = (
        "import logging, pathlib, sys; from sequnet_pl.data.store.appending import lock\n"
        "with lock(pathlib.Path(sys.argv[1])): print('mine', flush=True)"
    )
    command = [*unprivileged, sys.executable, "-c", code, str(tmp_path)]
    with lock(tmp_path):
        (tmp_path / ".lock").chmod(0o444)
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stderr and "waiting for another process" in process.stderr.readline()
        assert process.poll() is None
    assert process.communicate(timeout=60)[0] == "mine\n"
    (tmp_path / ".lock").unlink()
    tmp_path.chmod(0o555)
    try:
        assert subprocess.run(command, capture_output=True, text=True, timeout=60).stdout == "mine\n"
    finally:
        tmp_path.chmod(0o755)


def test_a_file_system_without_locks(
    tmp_path: Path, five: list[Path], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(fcntl, "lockf", Mock(side_effect=OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))))
    assert make(tmp_path / "store", five).made == 5
    assert "let only one process make it" in caplog.text
