"""A file that several splits name is stored once and cut in time among them."""

import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sequnet_pl.data.store import Report, Split, fingerprint, make_store, open_split
from sequnet_pl.data.store.__main__ import main as look_into

RATE = 1000
SPLITS = ("train", "val", "test")


def sound(path: Path, seconds: float, seed: int = 0) -> Path:
    path.parent.mkdir(exist_ok=True)
    soundfile.write(path, np.random.default_rng(seed).uniform(-0.5, 0.5, round(seconds * RATE)), RATE)
    return path


def make(folder: Path, **parts: list[Path]) -> Report:
    return make_store({name: parts.get(name, []) for name in SPLITS}, folder, RATE, workers=1, progress=False)


def split_in_time(folder: Path, *files: Path) -> Report:
    return make(folder, train=[*files], val=[*files], test=[*files])


def stretches(split: Split) -> list[tuple[str, int, int]]:
    return [(Path(r.source).name, r.start, r.length) for r in split.recordings]


def codes(split: Split) -> list[bytes]:
    pairs = zip(split.offsets.tolist(), split.lengths.tolist(), strict=True)
    return [split.codes[offset : offset + length].tobytes() for offset, length in pairs]


def whole(tmp_path: Path, file: Path) -> bytes:
    make(tmp_path / f"whole-{file.stem}", train=[file])
    return codes(open_split(tmp_path / f"whole-{file.stem}", "train"))[0]


def test_pieces_are_80_10_10_with_3_s_between_and_views_into_one_recording(tmp_path: Path) -> None:
    file = sound(tmp_path / "music/long.wav", 106)
    assert split_in_time(tmp_path / "store", file).made == 1
    splits = [open_split(tmp_path / "store", name) for name in SPLITS]
    begins = {"train": (0, 80_000), "val": (83_000, 10_000), "test": (96_000, 10_000)}
    assert {name: stretches(split) for name, split in zip(SPLITS, splits, strict=True)} == {
        name: [("long.wav", *place)] for name, place in begins.items()
    }
    assert len({split.path for split in splits}) == 1 and splits[0].path.stat().st_size == 106_000
    all_of_it = whole(tmp_path, file)
    for split, (begin, length) in zip(splits, begins.values(), strict=True):
        assert codes(split) == [all_of_it[begin : begin + length]]


def test_train_and_val_alone_are_90_10(tmp_path: Path) -> None:
    file, other = sound(tmp_path / "music/long.wav", 103), sound(tmp_path / "music/test.wav", 4, seed=1)
    make(tmp_path / "store", train=[file], val=[file], test=[other])
    assert stretches(open_split(tmp_path / "store", "train")) == [("long.wav", 0, 90_000)]
    assert stretches(open_split(tmp_path / "store", "val")) == [("long.wav", 93_000, 10_000)]
    test = open_split(tmp_path / "store", "test")
    assert (stretches(test), codes(test)) == ([("test.wav", 0, 4000)], [whole(tmp_path, other)])


@pytest.mark.parametrize(("seconds", "pieces"), [(15.99, 1), (16, 3)])
def test_what_is_too_short_for_three_pieces_trains(tmp_path: Path, seconds: float, pieces: int) -> None:
    file = sound(tmp_path / "music/long.wav", seconds)
    report = split_in_time(tmp_path / "store", file)
    found = [recording for split in report.recordings.values() for recording in split]
    assert len(found) == pieces
    if pieces == 1:
        assert codes(open_split(tmp_path / "store", "train")) == [whole(tmp_path, file)]
        assert found[0].description() == "too short to be cut in time, all of it trains"
        assert fingerprint(tmp_path / "store") == fingerprint(tmp_path / "whole-long")
    else:
        assert [r.description() for r in found] == [
            "0.00 to 8.00 s of 16.00 s",
            "11.00 to 12.00 s of 16.00 s",
            "15.00 to 16.00 s of 16.00 s",
        ]


def test_the_fingerprint_counts_the_cuts_and_is_as_it_was_without(tmp_path: Path) -> None:
    file = sound(tmp_path / "music/long.wav", 30)
    split_in_time(tmp_path / "three", file)
    make(tmp_path / "two", train=[file], val=[file])
    make(tmp_path / "one", train=[file])
    assert len({fingerprint(tmp_path / name) for name in ("one", "two", "three")}) == 3
    assert {fingerprint(tmp_path / name, unsplit=True) for name in ("two", "three")} == {fingerprint(tmp_path / "one")}
    assert fingerprint(tmp_path / "one") == "edd4151d95f5"  # of the version before there were cuts


def test_cuts_come_and_go_without_decoding_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever the splits were before, each holds the codes that it should."""
    a, b, c = (sound(tmp_path / f"music/{name}.wav", 20 + number, number) for number, name in enumerate("abc"))
    store = tmp_path / "store"
    contents = {file.name: whole(tmp_path, file) for file in (a, b, c)}
    steps = [
        ({"train": [a], "val": [b], "test": [c]}, 3),
        ({"train": [a, b, c], "val": [a, b, c], "test": [a, b, c]}, 0),
        ({"train": [b], "val": [a], "test": [c]}, 0),
        ({"train": [a, c], "val": [a, b], "test": [a]}, 0),
        ({"train": [c, b, a], "val": [], "test": []}, 0),
        ({"train": [a], "val": [a], "test": [c]}, 0),
        ({"train": [a], "val": [b], "test": []}, 1),  # b was removed
    ]
    for parts, made in steps:
        assert make(store, **parts).made == made
        for name in SPLITS:
            split = open_split(store, name)
            pieces = zip(stretches(split), codes(split), strict=True)
            assert all(contents[file][begin : begin + length] == found for (file, begin, length), found in pieces)
            assert {file for file, _, _ in stretches(split)} == {file.name for file in parts[name]}
        assert look_into(["verify", str(store)]) == 0
        before = (store / "index.json").stat().st_mtime_ns
        report = make(store, **parts)
        assert (report.made, report.has_new_segments, report.removed) == (0, False, ())
        assert (store / "index.json").stat().st_mtime_ns == before
        assert {path.name for path in store.iterdir()} == {".lock", "codes.u8", "index.json"}
    assert "same recording" not in caplog.text


def test_a_copy_leaks_only_where_what_is_learnt_is_scored(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = sound(tmp_path / "music/a.wav", 30)
    twin = Path(shutil.copy(file, tmp_path / "music/twin.wav"))
    with caplog.at_level(logging.WARNING):
        split_in_time(tmp_path / "store", file, twin)
        assert "same recording" not in caplog.text
        make(tmp_path / "store", train=[file, twin], val=[file], test=[file])
    assert caplog.text.count("same recording") == 2


def test_a_store_that_was_cut_is_shown_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    split_in_time(tmp_path / "data/codes/store", sound(tmp_path / "music/long.wav", 106))
    assert look_into(["list", str(tmp_path / "data/codes/store")]) == 0
    said = capsys.readouterr().out
    assert "83.00 to 93.00 s of 106.00 s" in said
    assert look_into(["info", str(tmp_path / "data/codes/store")]) == 0
    assert look_into(["list", "--data_dir", str(tmp_path / "data")]) == 0
    assert look_into(["verify", str(tmp_path / "data/codes/store")]) == 0
    said = capsys.readouterr().out
    assert said.count("0.1") >= 2 and "all 1 recordings are whole" in said  # megabytes on disk, once in each table
