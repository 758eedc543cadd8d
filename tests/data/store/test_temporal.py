"""Temporal splits: a file that several splits name is stored once, and each has a segment."""

import shutil
from functools import partial
from pathlib import Path

import pytest
import recordings
from recordings import noise

from sequnet_pl.data.splits import SPLITS
from sequnet_pl.data.store import Split, fingerprint, open_split

RATE = 1000
make = partial(recordings.make, rate=RATE)


def stretches(split: Split) -> list[tuple[str, int, int]]:
    return [(Path(r.source).name, r.start, r.length) for r in split.recordings]


def codes(split: Split) -> list[bytes]:
    pairs = zip(split.offsets.tolist(), split.lengths.tolist(), strict=True)
    return [split.codes[offset : offset + length].tobytes() for offset, length in pairs]


def whole(tmp_path: Path, file: Path) -> bytes:
    make(tmp_path / f"whole-{file.stem}", [file])
    return codes(open_split(tmp_path / f"whole-{file.stem}", "train"))[0]


@pytest.mark.parametrize(
    ("seconds", "splits", "segments"),
    [
        (106, SPLITS, {"train": (0, 80_000), "val": (83_000, 10_000), "test": (96_000, 10_000)}),
        (103, SPLITS[:2], {"train": (0, 90_000), "val": (93_000, 10_000)}),
        (16, SPLITS, {"train": (0, 8_000), "val": (11_000, 1_000), "test": (15_000, 1_000)}),
        (15.99, SPLITS, {"train": (0, 15_990)}),
        (13, SPLITS[:2], {"train": (0, 9_000), "val": (12_000, 1_000)}),
        (12.99, SPLITS[:2], {"train": (0, 12_990)}),
    ],
)
def test_segments_are_80_10_10_with_3_s_between_and_views_into_one_recording(
    tmp_path: Path, seconds: float, splits: tuple[str, ...], segments: dict[str, tuple[int, int]]
) -> None:
    file, other = noise(tmp_path / "music/long.wav", seconds), noise(tmp_path / "music/other.wav", 4, seed=1)
    make(tmp_path / "store", **{"test": [other]} | {name: [file] for name in splits})
    all_of_it = whole(tmp_path, file)
    for name in splits:
        split = open_split(tmp_path / "store", name)
        found = [segments[name]] if name in segments else []
        assert stretches(split) == [("long.wav", *segment) for segment in found]
        assert codes(split) == [all_of_it[start : start + length] for start, length in found]
        for recording, (start, length) in zip(split.recordings, found, strict=True):
            times = [f"{samples / RATE:.2f}" for samples in (start, start + length, len(all_of_it))]
            segment = "{} to {} s of {} s".format(*times)
            too_short = "too short to be split in time, all of it trains"
            assert recording.description() == (segment if len(segments) > 1 else too_short)
    assert (tmp_path / "store/codes.u8").stat().st_size == len(all_of_it) + 4_000 * ("test" not in splits)


def test_the_fingerprint_includes_the_segments(tmp_path: Path) -> None:
    file = noise(tmp_path / "music/long.wav", 30)
    make(tmp_path / "three", [file], [file], [file])
    make(tmp_path / "two", [file], [file])
    make(tmp_path / "one", [file])
    assert len({fingerprint(tmp_path / name) for name in ("one", "two", "three")}) == 3
    assert {fingerprint(tmp_path / name, unsplit=True) for name in ("two", "three")} == {fingerprint(tmp_path / "one")}
    assert fingerprint(tmp_path / "one") == "edd4151d95f5"  # of the version before there were temporal splits


def test_segments_come_and_go_without_decoding_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever the splits were before, each holds the codes that it should."""
    a, b, c = (noise(tmp_path / f"music/{name}.wav", 20 + number, number) for number, name in enumerate("abc"))
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
        assert make(tmp_path / "store", **parts).made == made
        for name in SPLITS:
            split = open_split(tmp_path / "store", name)
            segments = zip(stretches(split), codes(split), strict=True)
            assert all(contents[file][start : start + length] == found for (file, start, length), found in segments)
            assert {file for file, _, _ in stretches(split)} == {file.name for file in parts[name]}
        report = make(tmp_path / "store", **parts)
        assert (report.made, report.is_changed) == (0, False)
    assert "same recording" not in caplog.text


def test_a_copy_leaks_only_where_what_is_learnt_is_scored(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = noise(tmp_path / "music/a.wav", 30)
    twin = Path(shutil.copy(file, tmp_path / "music/twin.wav"))
    make(tmp_path / "store", *[[file, twin]] * 3)
    assert "same recording" not in caplog.text
    make(tmp_path / "store", [file, twin], [file], [file])
    assert caplog.text.count("same recording") == 2
