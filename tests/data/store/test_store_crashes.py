"""Processes that are killed, interrupted or wait for each other: finished work stays, nothing is half done."""

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from recordings import assert_holds, make, noise_16k, on_disk

from sequnet_pl.audio.decode import mono
from sequnet_pl.data.store import appending, encode
from sequnet_pl.data.store.appending import lock
from sequnet_pl.data.store.index import read_index

FORK = multiprocessing.get_context("fork")


def start(folder: Path, files: list[Path], interval: float = 60) -> tuple[Any, Any]:
    """Start a process that makes a store; it puts the number of files that it decoded into the queue."""

    def run() -> None:
        os.setsid()  # a group of its own
        appending._INTERVAL = interval
        made.put(make(folder, files, workers=2).made)

    made = FORK.SimpleQueue()
    process = FORK.Process(target=run)
    process.start()
    return process, made


def wait_for_all_of(process: Any) -> None:
    """Wait until the process and all that it started have ended."""
    process.join(60)
    deadline = time.monotonic() + 30
    while True:
        found = subprocess.run(["ps", "-e", "-o", "pgid=,stat="], capture_output=True, text=True, check=True).stdout
        rows = map(str.split, found.splitlines())
        if not any(int(group) == process.pid and not state.startswith("Z") for group, state in rows):
            return
        assert time.monotonic() < deadline, "a process is left behind"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Recordings that take a while."""
    folder = tmp_path_factory.mktemp("music")
    return [noise_16k(folder / f"{number}.wav", 10, number, rate=48_000) for number in range(8)]


@pytest.fixture(scope="module")
def seconds(tmp_path_factory: pytest.TempPathFactory, music: list[Path]) -> float:
    """The time that their store takes."""
    started = time.monotonic()
    make(tmp_path_factory.mktemp("complete"), music, workers=2)
    return time.monotonic() - started


@pytest.mark.parametrize("seed", range(8))
def test_kill_at_any_moment(tmp_path: Path, music: list[Path], seconds: float, seed: int):
    """No process is left, and the next run completes the store and leaves nothing else."""
    store, draw = tmp_path / "store", random.Random(seed)
    process, _ = start(store, music, interval=draw.choice((0, 60)))
    time.sleep(draw.uniform(0, seconds))
    process.kill()
    wait_for_all_of(process)
    make(store, music, workers=2)
    assert_holds(store, "train", music)
    assert on_disk(store) == ["codes.u8"]


def test_ctrl_c_to_the_group_keeps_what_is_finished(tmp_path: Path, music: list[Path]):
    folder = tmp_path / "store"
    process, made = start(folder, music)
    while not (folder / "codes.u8").exists() or (folder / "codes.u8").stat().st_size <= 160_000:  # one recording
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all processes that it started
    wait_for_all_of(process)
    if made.empty():  # unless it was quicker than the signal
        assert process.exitcode and on_disk(folder) == ["codes.u8"]
        index = read_index(folder)
        assert index and index.pending and not index.splits
        assert make(folder, music).made == len(music) - len(index.pending)
    assert_holds(folder, "train", music)


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


def test_two_that_ask_at_once_make_it_once(tmp_path: Path, music: list[Path]):
    makers = [start(tmp_path / "store", music) for _ in range(3)]
    assert sorted(made.get() for _, made in makers) == [0, 0, len(music)]
    for process, _ in makers:
        wait_for_all_of(process)
    assert_holds(tmp_path / "store", "train", music)


def test_a_complete_store_waits_for_nobody(tmp_path: Path, five: list[Path], caplog: pytest.LogCaptureFixture):
    made = make(tmp_path / "store", five)
    with lock(tmp_path / "store"):  # another job makes it larger, which takes hours
        assert make(tmp_path / "store", five).recordings == made.recordings
    assert not caplog.records


def test_another_ones_lock_is_waited_for(tmp_path: Path, unprivileged: list[str]):
    code = (
        "import logging, pathlib, sys; from sequnet_pl.data.store.appending import lock\n"
        "with lock(pathlib.Path(sys.argv[1])): print('mine', flush=True)"
    )
    command = [*unprivileged, sys.executable, "-c", code, str(tmp_path)]
    with lock(tmp_path):
        (tmp_path / ".lock").chmod(0o444)  # it may be another user's
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stderr and "waiting for another process" in process.stderr.readline()
        assert process.poll() is None
    assert process.communicate(timeout=60)[0] == "mine\n"
