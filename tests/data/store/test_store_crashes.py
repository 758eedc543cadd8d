"""Processes that are killed, interrupted or wait for each other: finished work stays, nothing is half done."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from small_stores import left_behind, make, noise

from sequnet_pl import processes
from sequnet_pl.audio import files, mulaw
from sequnet_pl.data import store
from sequnet_pl.data.store import locks, open_split, update

CRASH = """
import os, signal, sys
from pathlib import Path
from sequnet_pl.data import store
from sequnet_pl.data.store import maps, update

def then_crash(room, name, after, times):
    real = getattr(room, name)
    def crashing(*arguments, **options):
        nonlocal times
        times -= 1
        if times == 0 and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = real(*arguments, **options)
        if times == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    setattr(room, name, crashing)

room, name, after, times = sys.argv[1:5]
then_crash({"update": update, "maps": maps, "Update": update.Update}[room], name,
           after == "after", int(times))
files = [Path(path) for path in sys.argv[6:]]
store.make_store({"train": files[:4], "val": files[4:]}, Path(sys.argv[5]), workers=1, progress=False)
"""


def _contents(folder: Path, split: str) -> list[bytes]:
    opened = open_split(folder, split)
    return [opened.codes[r.offset :][: r.length].tobytes() for r in opened.recordings]


def _expected(paths: list[Path]) -> list[bytes]:
    return [mulaw.encode(files.read(path, 16_000)).tobytes() for path in paths]


@pytest.mark.parametrize(
    ("kept", "room", "name", "when"),
    [
        (4, "Update", "take", "before"),
        (4, "Update", "take", "after"),
        (4, "maps", "_copy", "before"),
        (4, "maps", "_copy", "after"),
        (1, "maps", "_copy", "before"),
        (1, "maps", "_copy", "after"),
        (4, "update", "place", "after"),
        (4, "update", "write_index", "before"),
        (1, "update", "write_index", "after"),
        (1, "update", "clean", "after"),
    ],
)
def test_a_crash_leaves_the_old_store_or_the_new_one(
    tmp_path: Path, five: list[Path], kept: int, room: str, name: str, when: str
):
    """Keeping four of five recordings lets the map grow at its end, keeping one has it written anew."""
    folder = tmp_path / "store"
    old_files = [noise(tmp_path / f"old/{i}.wav", 0.3, seed=90 + i) for i in range(5 - kept)] + five[:kept]
    store.make_store({"train": old_files}, folder, workers=1, progress=False)
    command = [sys.executable, "-c", CRASH, room, name, when, "1", folder, *five]
    crashed = subprocess.run(command, timeout=60, capture_output=True, text=True)
    assert crashed.returncode == -signal.SIGKILL, crashed.stderr

    is_new = (name, when) in (("write_index", "after"), ("clean", "after"))
    assert _contents(folder, "train") == _expected(five[:4] if is_new else old_files)
    report = store.make_store({"train": five[:4], "val": five[4:]}, folder, workers=1, progress=False)
    if is_new:
        assert report.made == 0
    assert _contents(folder, "train") == _expected(five[:4])
    assert _contents(folder, "val") == _expected(five[4:])
    assert left_behind(folder) == []


def test_finished_parts_are_taken_up_by_the_next_run(tmp_path: Path, five: list[Path], monkeypatch: pytest.MonkeyPatch):
    taken = 0
    real = update.Update.take

    def interrupted(self: update.Update, *arguments) -> None:
        nonlocal taken
        real(self, *arguments)
        taken += 1
        if taken == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(update.Update, "take", interrupted)
        make(tmp_path / "store", five)
    finished = sorted((tmp_path / "store/parts").glob("*.json"))
    assert len(finished) >= 3
    for path in finished:
        path.write_text(json.dumps(json.loads(path.read_text()) | {"note": "made before"}))
    report = make(tmp_path / "store", five)
    assert sum(r.note == "made before" for r in report.recordings["train"]) == len(finished)
    assert left_behind(tmp_path / "store") == []


def test_ctrl_c_keeps_what_is_finished_and_leaves_nothing_half_done(tmp_path: Path):
    block = np.random.default_rng(0).uniform(-0.9, 0.9, 16_000 * 60)
    long = [tmp_path / f"music/{i}.wav" for i in range(12)]
    long[0].parent.mkdir()
    for number, path in enumerate(long):
        sf.write(path, np.roll(block, number), 48_000)
    code = (
        "import sys, pathlib; from sequnet_pl.data import store\n"
        "store.make_store({'train': [pathlib.Path(p) for p in sys.argv[2:]]}, pathlib.Path(sys.argv[1]), workers=2)\n"
    )
    folder = tmp_path / "store"
    process = subprocess.Popen(
        [sys.executable, "-c", code, folder, *long], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    deadline = time.monotonic() + 60
    while not list(folder.glob("parts/*.json")) and time.monotonic() < deadline:
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all that it started
    _, said = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT or "KeyboardInterrupt" in said
    if not (folder / "index.json").exists():  # unless it was quicker than the signal
        names = {p.name for p in (folder / "parts").iterdir()}
        codes = {name.removesuffix(".codes") for name in names if name.endswith(".codes")}
        assert not [name for name in names if name.startswith(".")], "unfinished files are removed"
        assert codes >= {name.removesuffix(".json") for name in names if name.endswith(".json")}
    report = make(folder, long)
    assert len(report.recordings["train"]) == 12
    assert left_behind(folder) == []


def test_two_that_ask_at_once_make_it_once(tmp_path: Path, five: list[Path]):
    reports: list[store.Report] = []
    threads = [threading.Thread(target=lambda: reports.append(make(tmp_path / "store", five))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(report.made for report in reports) == [0, 0, 5]


def test_who_waits_for_the_lock_says_so(tmp_path: Path, five: list[Path], caplog: pytest.LogCaptureFixture):
    (tmp_path / "store").mkdir()
    with locks.lock(tmp_path / "store"):
        thread = threading.Thread(target=lambda: make(tmp_path / "store", five))
        thread.start()
        while "waiting for another process" not in caplog.text:
            time.sleep(0.01)
        assert not (tmp_path / "store/index.json").exists()
    thread.join()
    assert open_split(tmp_path / "store", "train").recordings


def test_a_decoder_that_dies_costs_one_file(tmp_path: Path, five: list[Path], monkeypatch: pytest.MonkeyPatch):
    real = processes._send
    sent = 0

    def killing(process: subprocess.Popen[str], *job: Any) -> int:
        nonlocal sent
        sent += 1
        if sent == 2:
            process.kill()
        return real(process, *job)

    with monkeypatch.context() as patch:
        patch.setattr(processes, "_send", killing)
        report = make(tmp_path / "store", five)
    (skipped,) = report.skipped
    assert skipped.reason == "its decoding process died (status -9)"
    assert report.made == 4
    assert make(tmp_path / "store", five).made == 1, "it is tried again"
