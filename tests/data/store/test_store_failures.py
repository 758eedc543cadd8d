"""Bad recordings, crashes, interruptions, full disks: the store is the old one or the new one, and nothing is lost."""

import errno
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

from sequnet_pl import atomic, processes
from sequnet_pl.audio import files, mulaw
from sequnet_pl.data import store
from sequnet_pl.data.store import fingerprint, locks, maps, open_split, part, update
from sequnet_pl.errors import UserError


def noise(path: Path, seconds: float = 0.2, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, np.random.default_rng(seed).uniform(-0.9, 0.9, round(seconds * 16_000)), 16_000)
    return path


@pytest.fixture
def five(tmp_path: Path) -> list[Path]:
    return [noise(tmp_path / f"music/{i}.wav", 0.3 - 0.02 * i, seed=i) for i in range(5)]


def make(folder: Path, paths: list[Path], **options) -> store.Report:
    return store.make_store({"train": paths}, folder, workers=1, progress=False, **options)


def left_behind(folder: Path) -> list[str]:
    named = {split["map"] for split in json.loads((folder / "index.json").read_text())["splits"].values()}
    return sorted({p.name for p in folder.iterdir()} - named - {"index.json", ".lock"})


def test_bad_files_are_skipped_each_with_its_reason(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    good = noise(tmp_path / "good.wav")
    text = tmp_path / "text.wav"
    text.write_text("not a wave")
    nan = tmp_path / "nan.wav"
    sf.write(nan, np.array([0.1, np.nan, 0.1] * 100), 16_000, subtype="FLOAT")
    sf.write(tmp_path / "whole.mp3", np.random.default_rng(0).uniform(-0.5, 0.5, 16_000 * 4), 16_000)
    stub = tmp_path / "stub.mp3"
    stub.write_bytes((tmp_path / "whole.mp3").read_bytes()[:300])
    half = tmp_path / "half.mp3"
    half.write_bytes((tmp_path / "whole.mp3").read_bytes()[:8000])
    silent = tmp_path / "silent.wav"
    sf.write(silent, np.zeros(1600), 16_000)
    everything = [good, text, nan, stub, half, silent, tmp_path / "gone.wav"]

    report = make(tmp_path / "store", everything)
    assert {Path(s.source).name: s.reason for s in report.skipped} == {
        "gone.wav": "No such file or directory",
        "nan.wav": "it has NaN or infinite samples (the first at 0.00 s)",
        "stub.mp3": "not audio that soundfile or ffmpeg can read",
        "text.wav": "not audio that soundfile or ffmpeg can read",
    }
    notes = {Path(r.source).name: r.note for r in report.recordings["train"]}
    assert notes.pop("good.wav") == ""
    assert notes.pop("silent.wav") == "it is silent throughout"
    assert notes.pop("half.mp3").startswith("used as far as it decodes: it ends at ")
    assert not notes
    assert 0.5 < open_split(tmp_path / "store", "train").lengths[1] / 16_000 < 3.9
    for name in ("nan.wav", "half.mp3", "silent.wav"):
        assert sum(name in record.getMessage() for record in caplog.records) == 1

    caplog.clear()
    report = make(tmp_path / "store", everything)
    assert (report.made, len(report.skipped)) == (0, 4)
    assert any("skipped 3 files again" in record.getMessage() for record in caplog.records)
    noise(text, seed=1)
    report = make(tmp_path / "store", everything)
    assert (report.made, len(report.skipped)) == (1, 3), "a mended file is tried again"


def test_nothing_that_can_be_used(tmp_path: Path, five: list[Path]):
    (tmp_path / "text.wav").write_text("not a wave")
    with pytest.raises(
        UserError, match=r"none of 1 audio files can be used; the first, .*text\.wav: not audio"
    ) as caught:
        make(tmp_path / "store", [tmp_path / "text.wav"])
    assert "\n" not in str(caught.value)
    make(tmp_path / "store", five)
    before = fingerprint(tmp_path / "store")
    with pytest.raises(UserError, match="none of"):
        make(tmp_path / "store", [tmp_path / "text.wav"])
    assert fingerprint(tmp_path / "store") == before
    with pytest.raises(UserError, match="none of 0"):
        make(tmp_path / "new", [])


def test_a_folder_that_cannot_be_made_or_written(tmp_path: Path, five: list[Path]):
    with pytest.raises(UserError, match="cannot make the folder"):
        make(five[0] / "store", five)
    (tmp_path / "store/.lock").mkdir(parents=True)
    with pytest.raises(UserError, match="cannot write"):
        make(tmp_path / "store", five)


def _full(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_leaves_the_old_store(tmp_path: Path, five: list[Path], monkeypatch: pytest.MonkeyPatch):
    make(tmp_path / "store", five[:4])
    before = fingerprint(tmp_path / "store"), np.array(open_split(tmp_path / "store", "train").codes)
    for place, name in ((maps, "_copy"), (atomic, "_publish")):
        with monkeypatch.context() as patch, pytest.raises(UserError, match="No space left on device"):
            patch.setattr(place, name, _full)
            make(tmp_path / "store", five)
        assert before[0] == fingerprint(tmp_path / "store")
        assert np.array_equal(before[1], open_split(tmp_path / "store", "train").codes)
    assert make(tmp_path / "store", five).recordings["train"][4].length
    assert left_behind(tmp_path / "store") == []


def test_a_disk_that_fills_while_decoding_stops_at_once(tmp_path: Path, five: list[Path]):
    """The limit on the size of a file stands in for the disk: it reaches the decoding process too."""
    code = (
        "import resource, sys, pathlib; from sequnet_pl.data import store; from sequnet_pl.errors import UserError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))\n"
        "try: store.make_store({'train': [pathlib.Path(p) for p in sys.argv[2:]]}, pathlib.Path(sys.argv[1]))\n"
        "except UserError as error: sys.exit(f'one line: {error}')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "store", *five], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1 and "one line: cannot write" in done.stderr and "Traceback" not in done.stderr
    assert list((tmp_path / "store/parts").iterdir()) == [], "nothing half-written"
    assert make(tmp_path / "store", five).made == 5


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
    make(folder, old_files)
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


def test_a_file_that_changes_while_it_is_read_is_not_taken(
    tmp_path: Path, five: list[Path], monkeypatch: pytest.MonkeyPatch
):
    from sequnet_pl.data.store.index import Options

    def growing(path: Path, *_: object) -> None:
        with path.open("ab") as file:
            file.write(b"more")

    monkeypatch.setattr(part, "_part", growing)
    answer = part.answer(five[0], tmp_path / "parts", Options(), known=[])
    assert answer.skipped == "it changed while it was read" and answer.size < 0


def test_a_damaged_index(tmp_path: Path, five: list[Path], caplog: pytest.LogCaptureFixture):
    make(tmp_path / "store", five)
    before = fingerprint(tmp_path / "store")
    index = tmp_path / "store/index.json"
    whole = index.read_text()
    for text in (whole[:200], "", "[]", '{"format": 1}', whole.replace('"format": 1', '"format": 99'), "\0\xff"):
        index.write_text(text)
        with pytest.raises(UserError, match=r"index\.json") as caught:
            open_split(tmp_path / "store", "train")
        assert "delete it" in str(caught.value)
        assert make(tmp_path / "store", five).made == 5
        assert fingerprint(tmp_path / "store") == before
        assert left_behind(tmp_path / "store") == []
    assert "is damaged" in caplog.text


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: os.truncate(path, 100)], ids=["missing", "short"])
def test_a_damaged_map(tmp_path: Path, five: list[Path], damage, caplog: pytest.LogCaptureFixture):
    make(tmp_path / "store", five)
    reader = open_split(tmp_path / "store", "train")
    damage(reader.path)
    with pytest.raises(UserError, match="gone or too short"):
        len(reader.codes)
    assert make(tmp_path / "store", five).made == 5
    assert "is missing or too short" in caplog.text
    assert len(open_split(tmp_path / "store", "train").codes)
