"""Making a store, and reading it."""

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from small_stores import assert_holds, make, noise, on_disk

from sequnet_pl.data import store
from sequnet_pl.data.store import fingerprint, open_split
from sequnet_pl.errors import UsageError, UserError


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
    assert on_disk(tmp_path / "store") == ["codes.u8"]


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


def test_another_rate_or_option_makes_all_of_it_again(tmp_path: Path, five: list[Path]):
    make(tmp_path / "store", five)
    prints = {fingerprint(tmp_path / "store")}
    for options in ({"rate": 8_000}, {"channel": "left"}, {"skip_silence": 1.0}, {"loudness": -20.0}, {}):
        assert make(tmp_path / "store", five, **options).made == 5
        prints.add(fingerprint(tmp_path / "store"))
        assert on_disk(tmp_path / "store") == [open_split(tmp_path / "store", "train").path.name]
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
        assert on_disk(tmp_path / "store") == ["codes.u8"]
    assert caplog.text.count("same recording") == 1, "the network would be scored on what it has learnt from"


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
