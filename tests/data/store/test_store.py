"""Making a store, reading it, and keeping it up to date."""

import copy
import os
import pickle
import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from sequnet_pl.audio import files, mulaw
from sequnet_pl.data import store
from sequnet_pl.data.store import Report, fingerprint, maps, open_split
from sequnet_pl.errors import UsageError, UserError


def noise(path: Path, seconds: float = 0.2, seed: int = 0, rate: int = 16_000, channels: int = 1) -> Path:
    samples = np.random.default_rng(seed).uniform(-0.9, 0.9, (round(seconds * rate), channels))
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, samples, rate)
    return path


def make(folder: Path, train: Iterable[Path], val: Iterable[Path] = (), **options) -> Report:
    parts = {"train": list(train), "val": list(val), "test": []}
    return store.make_store(parts, folder, workers=1, progress=False, **options)


def assert_holds(folder: Path, split: str, paths: list[Path], rate: int = 16_000) -> None:
    """The split holds exactly the codes of these files, in their order, and each recording says what it is."""
    opened = open_split(folder, split)
    assert [r.source for r in opened.recordings] == [str(p) for p in paths]
    for recording, path in zip(opened.recordings, paths, strict=True):
        codes = mulaw.encode(files.read(path, rate))
        assert np.array_equal(opened.codes[recording.offset :][: recording.length], codes)
        assert recording.rate == rate
        assert recording.silent == pytest.approx(np.mean(codes == 128))
    assert opened.offsets.dtype == opened.lengths.dtype == np.int64
    assert opened.lengths.tolist() == [r.length for r in opened.recordings]
    assert opened.offsets.tolist() == [r.offset for r in opened.recordings]


def on_disk(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.name not in (".lock", "index.json"))


@pytest.fixture
def five(tmp_path: Path) -> list[Path]:
    return [noise(tmp_path / f"music/{i}.wav", 0.1 + 0.02 * i, seed=i) for i in range(5)]


def test_what_goes_in_comes_out(tmp_path: Path):
    train = [
        noise(tmp_path / "music/b.wav", 0.3, 1, rate=48_000, channels=2),
        noise(tmp_path / "music/a.flac", 0.1, 2, rate=8_000),
        noise(tmp_path / "music/c.mp3", 1.0, 3, rate=44_100, channels=2),
    ]
    val = [noise(tmp_path / "music/d.ogg", 0.5, 4, rate=22_050)]
    report = make(tmp_path / "store", train, val)
    assert (report.made, report.skipped, report.removed) == (4, (), ())
    assert {split: len(found) for split, found in report.recordings.items()} == {"train": 3, "val": 1, "test": 0}
    assert_holds(tmp_path / "store", "train", train)
    assert_holds(tmp_path / "store", "val", val)
    assert on_disk(tmp_path / "store") == ["test.0.codes", "train.0.codes", "val.0.codes"]


def test_a_split_without_recordings(tmp_path: Path, five: list[Path]):
    make(tmp_path / "store", five)
    for split in ("val", "test", "never heard of"):
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


def test_many_processes_make_what_one_makes(tmp_path: Path, five: list[Path]):
    make(tmp_path / "one", five)
    store.make_store({"train": five, "val": [], "test": []}, tmp_path / "three", workers=3, progress=True)
    assert_holds(tmp_path / "three", "train", five)
    assert fingerprint(tmp_path / "one") == fingerprint(tmp_path / "three")


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
    assert open_split(tmp_path / "store", "train").path.stat().st_ino == inode, "the map should have grown at its end"
    assert np.array_equal(first.codes, open_split(tmp_path / "store", "train").codes[: len(first.codes)])


def test_a_replaced_file_is_noticed_even_at_the_same_size(tmp_path: Path, five: list[Path]):
    make(tmp_path / "store", five)
    old = fingerprint(tmp_path / "store")
    noise(five[2], 0.1 + 0.02 * 2, seed=77)
    os.utime(five[2], ns=(1, 1))
    assert make(tmp_path / "store", five).made == 1
    assert_holds(tmp_path / "store", "train", five)
    assert fingerprint(tmp_path / "store") != old


def test_a_touched_or_renamed_file_is_known_by_its_content(tmp_path: Path, five: list[Path]):
    make(tmp_path / "store", five)
    old = fingerprint(tmp_path / "store")
    os.utime(five[0], ns=(1, 1))
    five[4] = five[4].rename(tmp_path / "music/renamed.wav")
    report = make(tmp_path / "store", five)
    assert report.made == 0
    assert_holds(tmp_path / "store", "train", five)
    assert fingerprint(tmp_path / "store") == old
    assert make(tmp_path / "store", five).made == 0


def test_a_moved_folder_is_not_decoded_again(tmp_path: Path, five: list[Path]):
    make(tmp_path / "store", five)
    old = fingerprint(tmp_path / "store")
    shutil.move(tmp_path / "music", tmp_path / "elsewhere")
    moved = [tmp_path / "elsewhere" / p.name for p in five]
    assert make(tmp_path / "store", moved).made == 0
    assert_holds(tmp_path / "store", "train", moved)
    assert fingerprint(tmp_path / "store") == old


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


def test_holes_are_closed_when_they_are_worth_it(tmp_path: Path, five: list[Path]):
    make(tmp_path / "store", five)
    size = open_split(tmp_path / "store", "train").length
    make(tmp_path / "store", five[1:])  # the shortest of five leaves too small a hole
    assert open_split(tmp_path / "store", "train").path.stat().st_size == size
    assert_holds(tmp_path / "store", "train", five[1:])
    reader = open_split(tmp_path / "store", "train")
    codes = np.array(reader.codes)
    make(tmp_path / "store", five[3:])
    assert_holds(tmp_path / "store", "train", five[3:])
    compact = open_split(tmp_path / "store", "train")
    assert compact.length == compact.lengths.sum() == compact.path.stat().st_size
    assert on_disk(tmp_path / "store") == ["test.0.codes", "train.0.codes", "train.1.codes", "val.0.codes"]
    late = copy.copy(reader)  # as a process that gathers batches gets it
    assert np.array_equal(reader.codes, codes) and np.array_equal(late.codes, codes), "who reads the old map keeps it"
    del reader
    make(tmp_path / "store", five[3:])
    assert on_disk(tmp_path / "store") == ["test.0.codes", "train.1.codes", "val.0.codes"]


def test_any_sequence_of_changes_ends_in_the_store_of_its_last_files(tmp_path: Path):
    pool = [noise(tmp_path / f"music/{i}.wav", 0.02 + 0.01 * (i % 3), seed=i) for i in range(8)]
    choose = np.random.default_rng(0)
    for _ in range(12):
        where = choose.integers(0, 3, len(pool))  # 0: absent, 1: train, 2: val
        where[choose.integers(len(pool))] = 1
        train, val = ([p for p, w in zip(pool, where, strict=True) if w == split] for split in (1, 2))
        report = make(tmp_path / "store", train, val)
        assert_holds(tmp_path / "store", "train", train)
        assert_holds(tmp_path / "store", "val", val)
        assert len(on_disk(tmp_path / "store")) == 3
        for split in ("train", "val"):
            opened = open_split(tmp_path / "store", split)
            assert opened.lengths.sum() >= (1 - maps._HOLES) * opened.length - 1 or report.made == 0
            del opened  # a map that is open stays


def test_another_rate_or_option_makes_all_of_it_again(tmp_path: Path, five: list[Path]):
    make(tmp_path / "store", five)
    prints = {fingerprint(tmp_path / "store")}
    for options in ({"rate": 8_000}, {"channel": "left"}, {"skip_silence": 1.0}, {"loudness": -20.0}, {}):
        assert make(tmp_path / "store", five, **options).made == 5
        prints.add(fingerprint(tmp_path / "store"))
        assert len(on_disk(tmp_path / "store")) == 3
    assert len(prints) == 5
    make(tmp_path / "store", five, rate=8_000)
    assert_holds(tmp_path / "store", "train", five, rate=8_000)


@pytest.mark.parametrize(
    "options",
    [{"rate": 0}, {"channel": "both"}, {"loudness": 3.0}, {"skip_silence": -1.0}],
    ids=lambda o: next(iter(o)),
)
def test_options_that_make_no_sense(tmp_path: Path, five: list[Path], options: dict):
    with pytest.raises(UsageError):
        make(tmp_path / "store", five, **options)


def test_the_fingerprint_tells_order_and_split(tmp_path: Path, five: list[Path]):
    make(tmp_path / "a", five)
    make(tmp_path / "b", five[::-1])
    make(tmp_path / "c", five[:4], five[4:])
    assert len({fingerprint(tmp_path / name) for name in "abc"}) == 3


def test_the_same_content_twice(tmp_path: Path, five: list[Path], caplog: pytest.LogCaptureFixture):
    twin, held_out = (Path(shutil.copy(five[0], tmp_path / f"music/{name}.wav")) for name in ("twin", "val"))
    assert "same recording" not in caplog.text
    for _ in range(3):  # and it stays where it is
        make(tmp_path / "store", [*five, twin], [held_out])
        assert_holds(tmp_path / "store", "train", [*five, twin])
        assert_holds(tmp_path / "store", "val", [held_out])
        assert on_disk(tmp_path / "store") == ["test.0.codes", "train.0.codes", "val.0.codes"]
    assert caplog.text.count("same recording") == 1, "the network would be scored on what it has learnt from"
    lengths = open_split(tmp_path / "store", "train").lengths
    assert open_split(tmp_path / "store", "train").length == lengths.sum() - lengths[0]


def test_levels(tmp_path: Path):
    loud = tmp_path / "loud.wav"
    sf.write(loud, np.array([0.0, 1.5, -2.0, 0.25] * 400), 16_000, subtype="FLOAT")
    recording = make(tmp_path / "store", [loud]).recordings["train"][0]
    assert (recording.peak, recording.clipped, recording.silent) == (2.0, 0.5, 0.25)
    assert "50% of its samples" in recording.note


def test_a_link_and_a_relative_path(tmp_path: Path, five: list[Path], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    Path("linked.wav").symlink_to(five[0])
    make(Path("store"), [Path("linked.wav"), Path("music/1.wav")])
    assert_holds(tmp_path / "store", "train", [tmp_path / "linked.wav", five[1]])


def test_without_a_store(tmp_path: Path):
    for ask in (fingerprint, lambda folder: open_split(folder, "train")):
        with pytest.raises(UserError, match="no store in"):
            ask(tmp_path)
