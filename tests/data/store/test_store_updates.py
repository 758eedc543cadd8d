"""A store is kept up to date with its files: only what has changed is decoded."""

import os
from pathlib import Path

import numpy as np
import pytest
from small_stores import assert_holds, make, noise, on_disk

from sequnet_pl.data.store import fingerprint, open_split
from sequnet_pl.data.store.index import opened_index


@pytest.fixture
def five(tmp_path: Path) -> list[Path]:
    return [noise(tmp_path / f"music/{i}.wav", 0.1 + 0.02 * i, seed=i) for i in range(5)]


def test_what_has_not_changed_is_left_alone(tmp_path: Path, five: list[Path]):
    make(tmp_path / "store", five)
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "store").iterdir() if p.name != ".lock"}
    assert make(tmp_path / "store", five).made == 0
    assert {p: p.stat().st_mtime_ns for p in before} == before


def test_an_added_file_is_all_that_is_decoded(tmp_path: Path, five: list[Path]):
    make(tmp_path / "store", five)
    first = open_split(tmp_path / "store", "train")
    inode = first.path.stat().st_ino
    more = [noise(tmp_path / "music/00.wav", 0.3, 9), *five, noise(tmp_path / "music/zz.wav", 0.3, 10)]
    assert make(tmp_path / "store", more).made == 2
    assert_holds(tmp_path / "store", "train", more)
    assert open_split(tmp_path / "store", "train").path.stat().st_ino == inode, "codes are appended"
    assert np.array_equal(first.codes, open_split(tmp_path / "store", "train").codes[: len(first.codes)])


def test_a_replaced_file_is_noticed_even_at_the_same_size(tmp_path: Path, five: list[Path]):
    make(tmp_path / "store", five)
    old, size = fingerprint(tmp_path / "store"), five[2].stat().st_size
    noise(five[2], 0.1 + 0.02 * 2, seed=77)
    assert five[2].stat().st_size == size
    os.utime(five[2], ns=(1, 1))
    assert make(tmp_path / "store", five).made == 1
    assert_holds(tmp_path / "store", "train", five)
    assert fingerprint(tmp_path / "store") != old


def test_a_touched_or_moved_file_is_decoded_again_and_is_the_same(tmp_path: Path, five: list[Path]):
    make(tmp_path / "store", five)
    old = fingerprint(tmp_path / "store")
    os.utime(five[0], ns=(1, 1))
    five[4] = five[4].rename(tmp_path / "music/renamed.wav")
    assert make(tmp_path / "store", five).made == 2
    assert_holds(tmp_path / "store", "train", five)
    assert fingerprint(tmp_path / "store") == old
    assert make(tmp_path / "store", five).made == 0


def test_a_file_that_changes_its_split_is_not_decoded_again(tmp_path: Path, five: list[Path]):
    make(tmp_path / "store", five)
    report = make(tmp_path / "store", five[:3], five[3:])
    assert (report.made, report.removed) == (0, ())
    assert_holds(tmp_path / "store", "train", five[:3])
    assert_holds(tmp_path / "store", "val", five[3:])


def test_a_removed_file_is_dropped_and_said(tmp_path: Path, five: list[Path], caplog: pytest.LogCaptureFixture):
    make(tmp_path / "store", five)
    gone = five.pop(0)
    gone.unlink()
    report = make(tmp_path / "store", five)
    assert report.removed == (str(gone),)
    assert "dropped 1 recordings" in caplog.text and str(gone) in caplog.text
    assert_holds(tmp_path / "store", "train", five)


def test_a_file_deleted_after_it_was_listed_is_dropped_too(tmp_path: Path, five: list[Path]):
    make(tmp_path / "store", five)
    five[1].unlink()
    report = make(tmp_path / "store", five)
    assert [(s.source, s.reason) for s in report.skipped] == [(str(five[1]), "No such file or directory")]
    assert report.removed == (str(five[1]),)
    assert_holds(tmp_path / "store", "train", [five[0], *five[2:]])


def test_who_reads_a_store_keeps_it_while_it_changes(tmp_path: Path, five: list[Path]):
    make(tmp_path / "store", five)
    reader, late = open_split(tmp_path / "store", "train"), open_split(tmp_path / "store", "train")
    codes = np.array(reader.codes)
    make(tmp_path / "store", [*five[3:], noise(tmp_path / "music/new.wav", 0.3, 9)])
    assert np.array_equal(reader.codes, codes) and np.array_equal(late.codes, codes)
    assert len(reader.recordings) == 5
    index = opened_index(tmp_path / "store")
    assert index.unused == reader.lengths[:3].sum()


def test_any_sequence_of_changes_ends_in_the_store_of_its_last_files(tmp_path: Path):
    pool = [noise(tmp_path / f"music/{i}.wav", 0.02 + 0.01 * (i % 3), seed=i) for i in range(8)]
    choose = np.random.default_rng(0)
    for _ in range(12):
        where = choose.integers(0, 3, len(pool))  # 0: absent, 1: train, 2: val
        where[choose.integers(len(pool))] = 1
        train, val = ([p for p, w in zip(pool, where, strict=True) if w == split] for split in (1, 2))
        make(tmp_path / "store", train, val)
        assert_holds(tmp_path / "store", "train", train)
        assert_holds(tmp_path / "store", "val", val)
        assert on_disk(tmp_path / "store") == ["codes.u8"]
