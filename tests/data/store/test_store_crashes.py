"""Processes that are killed, interrupted or wait for each other: finished work stays, nothing is half done."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from small_stores import assert_holds, make, noise, on_disk

from sequnet_pl.audio.decode import mono
from sequnet_pl.data.store import appending, encode, fingerprint, open_split
from sequnet_pl.data.store.index import read_index
from sequnet_pl.processes import run_all

LENGTH = 16_000 * 20
"""Codes of a long recording."""
MAKE = (
    "import sys, pathlib; from sequnet_pl.data import store\n"
    "files = [pathlib.Path(p) for p in sys.argv[2:]]\n"
    "report = store.make_store({'train': files, 'val': []}, pathlib.Path(sys.argv[1]), workers=2, progress=False)\n"
    "print(report.made)"
)


def start(folder: Path, files: list[Path]) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", MAKE, str(folder), *map(str, files)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def group_of(process: subprocess.Popen[str]) -> list[int]:
    """The living processes of its group."""
    found = subprocess.run(["ps", "-e", "-o", "pid=,pgid=,stat="], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in found.splitlines()]
    return [int(pid) for pid, group, state in rows if int(group) == process.pid and not state.startswith("Z")]


def assert_all_end(process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 30
    while group_of(process):
        assert time.monotonic() < deadline, "a process is left behind"
        time.sleep(0.05)


@pytest.fixture
def long(tmp_path: Path) -> list[Path]:
    """Recordings that take a while."""
    return [noise(tmp_path / f"music/{number}.wav", 20, number, 48_000) for number in range(12)]


FORK = (
    "import os, pathlib, sys; from sequnet_pl.data.store import appending, make_store\n"
    "for line in sys.stdin:\n"
    "    folder, interval, *files = line.split()\n"
    "    if child := os.fork():\n"
    "        print(child, flush=True)\n"
    "        sys.stdin.readline()\n"
    "        os.waitpid(child, 0)\n"
    "        print(flush=True)\n"
    "        continue\n"
    "    appending._INTERVAL = float(interval)\n"
    "    make_store({'train': map(pathlib.Path, files)}, pathlib.Path(folder), workers=2, progress=False)\n"
    "    os._exit(0)\n"
)


class Maker:
    """A process, started once, whose children make stores of six recordings."""

    def __init__(self, music: Path) -> None:
        self.files = [noise(music / f"{number}.wav", 8, number, 48_000) for number in range(6)]
        command = [sys.executable, "-c", FORK]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, start_new_session=True)
        self.seconds = min(self.make(music / name) for name in ("one", "two"))
        self.fingerprint = fingerprint(music / "one")

    def make(self, folder: Path, interval: float = 60, killed_after: float | None = None) -> float:
        """Make a store, or begin to; returns the seconds that it took."""
        assert self.process.stdin and self.process.stdout
        print(folder, interval, *self.files, file=self.process.stdin, flush=True)
        child, started = int(self.process.stdout.readline()), time.monotonic()
        if killed_after is not None:
            time.sleep(killed_after)
            os.kill(child, signal.SIGKILL)
        print(file=self.process.stdin, flush=True)
        self.process.stdout.readline()
        seconds = time.monotonic() - started
        while len(group_of(self.process)) > 1:  # workers end when their parent is gone
            time.sleep(0.01)
        return seconds


@pytest.fixture(scope="module")
def maker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Maker]:
    maker = Maker(tmp_path_factory.mktemp("music"))
    yield maker
    maker.process.communicate()


@pytest.mark.parametrize("seed", range(8))
def test_kill_at_any_moment(tmp_path: Path, maker: Maker, seed: int):
    """What was stored before stays readable, no process is left, and the next run completes the store."""
    store, draw = tmp_path / "store", random.Random(seed)
    maker.make(store, interval=draw.choice((0, 60)), killed_after=draw.uniform(0, maker.seconds))
    maker.make(store)
    assert fingerprint(store) == maker.fingerprint
    assert_holds(store, "train", maker.files)
    assert on_disk(store) == ["codes.u8"]


def sources(folder: Path) -> list[str]:
    return [recording.source for recording in open_split(folder, "train").recordings]


def test_ctrl_c_to_the_group_keeps_what_is_finished(tmp_path: Path, long: list[Path]):
    folder = tmp_path / "store"
    process = start(folder, long)
    while not (folder / "codes.u8").exists() or (folder / "codes.u8").stat().st_size <= LENGTH:
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all processes that it started
    _, error = process.communicate(timeout=60)
    assert_all_end(process)
    if process.returncode:  # unless it was quicker than the signal
        assert "KeyboardInterrupt" in error
        assert on_disk(folder) == ["codes.u8"]
        index = read_index(folder)
        assert index and index.pending and not index.splits
        report = make(folder, long)
        assert report.made == 12 - len(index.pending)
    assert_holds(folder, "train", long)


def test_an_interrupt_in_an_update_leaves_the_splits_as_they_were(
    tmp_path: Path, five: list[Path], monkeypatch: pytest.MonkeyPatch
):
    make(tmp_path / "store", five[:2])

    def interrupted(*arguments) -> Iterator[object]:
        yield from islice(run_all(*arguments), 1)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(appending, "run_all", interrupted)
        make(tmp_path / "store", five)
    assert_holds(tmp_path / "store", "train", five[:2])
    assert make(tmp_path / "store", five).made == 2
    assert_holds(tmp_path / "store", "train", five)


@pytest.mark.parametrize("again", [True, False])
def test_a_worker_that_is_killed_costs_at_most_its_file(
    tmp_path: Path, five: list[Path], monkeypatch: pytest.MonkeyPatch, again: bool
):
    """It is retried alone, and skipped only where that kills its process too."""
    marker = tmp_path / "killed"

    def killing(path: Path, *arguments, **options) -> object:
        if path == five[1] and (again or not marker.exists()):
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return mono(path, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(encode, "mono", killing)  # in the forked processes too
        report = make(tmp_path / "store", five, workers=2)
    assert marker.exists() and report.made == 5 - again
    assert [skipped.source for skipped in report.skipped] == [str(five[1])] * again
    assert make(tmp_path / "store", five).made == again, "it is retried in the next run"
    assert_holds(tmp_path / "store", "train", five)


def test_two_that_ask_at_once_make_it_once(tmp_path: Path, long: list[Path]):
    makers = [start(tmp_path / "store", long) for _ in range(3)]
    made = [maker.communicate(timeout=120)[0].strip() for maker in makers]
    assert sorted(made, key=int) == ["0", "0", "12"]
    assert_holds(tmp_path / "store", "train", long)
