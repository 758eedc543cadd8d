"""Making a store, reading it, and keeping it up to date: only files that changed are decoded."""

import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from small_stores import assert_holds, make, noise, on_disk

from sequnet_pl.data.store import fingerprint, open_split
from sequnet_pl.data.store.index import opened_index
from sequnet_pl.errors import UserError


def test_stored_codes_are_those_of_the_files(tmp_path: Path):
    train = [
        noise(tmp_path / "music/b.wav", 0.3, 1, rate=48_000, channels=2),
        noise(tmp_path / "music/a.flac", 0.1, 2, rate=8_000),
        noise(tmp_path / "music/c.mp3", 1.0, 3, rate=44_100, channels=2),
    ]
    val = [noise(tmp_path / "music/d.ogg", 0.5, 4, rate=22_050)]
    report = make(tmp_path / "store", train, val)
    assert (report.made, report.skipped) == (4, ())
    assert {split: len(found) for split, found in report.recordings.items()} == {"train": 3, "val": 1, "test": 0}
    assert_holds(tmp_path / "store", "train", train)
    assert_holds(tmp_path / "store", "val", val)
    assert on_disk(tmp_path / "store") == ["codes.u8"]
    for split in ("test", "unknown"):
        empty = open_split(tmp_path / "store", split)
        assert (empty.recordings, len(empty.codes), len(empty.offsets)) == ((), 0, 0)


def test_codes_are_read_only_uint8_on_disk_and_travel_to_other_processes(tmp_path: Path, five: list[Path]):
    make(tmp_path / "store", five)
    opened = open_split(tmp_path / "store", "train")
    assert isinstance(opened.codes, np.memmap) and opened.codes.dtype == np.uint8
    with pytest.raises(ValueError, match="read-only"):
        opened.codes[0] = 0
    sent = pickle.dumps(opened)
    assert len(sent) < 5000
    assert np.array_equal(pickle.loads(sent).codes, opened.codes)  # noqa: S301


def test_the_fingerprint_is_of_order_and_split_and_not_of_the_processes(tmp_path: Path, five: list[Path]):
    make(tmp_path / "a", five)
    make(tmp_path / "b", five[::-1])
    make(tmp_path / "c", five[:4], five[4:])
    assert len({fingerprint(tmp_path / name) for name in "abc"}) == 3
    make(tmp_path / "three", five, workers=3, progress=True)
    assert_holds(tmp_path / "three", "train", five)
    assert fingerprint(tmp_path / "three") == fingerprint(tmp_path / "a")


def test_other_options_decode_all_files_again(tmp_path: Path, five: list[Path]):
    make(tmp_path / "store", five)
    prints = {fingerprint(tmp_path / "store")}
    changes: list[dict[str, Any]] = [
        {"channel": "left"},
        {"skip_silence": 1.0},
        {"loudness": -20.0},
        {},
        {"rate": 8_000},
    ]
    for options in changes:
        assert make(tmp_path / "store", five, **options).made == 5
        prints.add(fingerprint(tmp_path / "store"))
        assert on_disk(tmp_path / "store") == ["codes.u8"]
    assert len(prints) == 5
    assert_holds(tmp_path / "store", "train", five, rate=8_000)


def test_the_same_content_twice(tmp_path: Path, five: list[Path], caplog: pytest.LogCaptureFixture):
    twin, held_out = (Path(shutil.copy(five[0], tmp_path / f"music/{name}.wav")) for name in ("twin", "val"))
    for _ in range(2):
        make(tmp_path / "store", [*five, twin], [held_out])
        assert_holds(tmp_path / "store", "train", [*five, twin])
        assert_holds(tmp_path / "store", "val", [held_out])
    assert caplog.text.count("same recording") == 1, "the network would be scored on its training data"


def test_levels(tmp_path: Path):
    sf.write(tmp_path / "loud.wav", np.array([0.0, 1.5, -2.0, 0.25] * 400), 16_000, subtype="FLOAT")
    recording = make(tmp_path / "store", [tmp_path / "loud.wav"]).recordings["train"][0]
    assert (recording.peak, recording.clipped, recording.silent) == (2.0, 0.5, 0.25)


def test_a_link_and_a_relative_path(tmp_path: Path, five: list[Path], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    Path("linked.wav").symlink_to(five[0])
    make(Path("store"), [Path("linked.wav"), Path("music/1.wav")])
    assert_holds(tmp_path / "store", "train", [tmp_path / "linked.wav", five[1]])


def test_without_a_store(tmp_path: Path):
    for ask in (fingerprint, lambda folder: open_split(folder, "train")):
        with pytest.raises(UserError, match="no store in"):
            ask(tmp_path)


def test_only_what_changed_is_decoded(tmp_path: Path, five: list[Path]):
    """Unchanged, added, replaced at the same size, touched, moved, in another split, and removed."""
    store = tmp_path / "store"
    make(store, five)
    old, stamps = fingerprint(store), {p: p.stat().st_mtime_ns for p in store.iterdir() if p.name != ".lock"}
    assert make(store, five).made == 0
    assert {p: p.stat().st_mtime_ns for p in stamps} == stamps
    first = open_split(store, "train")
    more = [noise(tmp_path / "music/00.wav", 0.3, 9), *five, noise(tmp_path / "music/zz.wav", 0.3, 10)]
    assert make(store, more).made == 2
    assert_holds(store, "train", more)
    assert np.array_equal(first.codes, open_split(store, "train").codes[: len(first.codes)]), "codes are appended"
    make(store, five)
    assert_holds(store, "train", five)
    os.utime(five[0], ns=(1, 1))
    five[4] = five[4].rename(tmp_path / "music/renamed.wav")
    assert make(store, five).made == 2
    assert_holds(store, "train", five)
    assert fingerprint(store) == old
    size = five[2].stat().st_size
    noise(five[2], 0.26, seed=77)
    os.utime(five[2], ns=(1, 1))
    assert five[2].stat().st_size == size and make(store, five).made == 1
    assert fingerprint(store) != old
    assert make(store, five[:3], five[3:]).made == 0
    assert_holds(store, "train", five[:3])
    assert_holds(store, "val", five[3:])
    five[1].unlink()
    report = make(store, five)
    assert [(s.source, s.reason) for s in report.skipped] == [(str(five[1]), "No such file or directory")]
    assert_holds(store, "train", [five[0], *five[2:]])


def test_a_reader_keeps_its_codes_while_the_store_changes(tmp_path: Path, five: list[Path]):
    make(tmp_path / "store", five)
    reader, late = open_split(tmp_path / "store", "train"), open_split(tmp_path / "store", "train")
    codes = np.array(reader.codes)
    make(tmp_path / "store", [*five[3:], noise(tmp_path / "music/new.wav", 0.3, 9)])
    assert np.array_equal(reader.codes, codes) and np.array_equal(late.codes, codes)
    assert opened_index(tmp_path / "store").unused == reader.lengths[:3].sum()
