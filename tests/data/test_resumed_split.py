"""Splits by file: files that do not decode, files that are added, and names in the other Unicode form."""

import logging
import unicodedata
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from sequnet_pl.data.stored import StoredRecordings


def record(path: Path, seconds: float, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).uniform(-0.5, 0.5, round(seconds * 16_000))
    sf.write(path, noise, 16_000)


def stored(folder: Path) -> StoredRecordings:
    return StoredRecordings(audio_dir=str(folder), data_dir=str(folder.parent / "data"), store_workers=1)


def place(data: StoredRecordings) -> dict[str, str]:
    """Make the store; returns the split of each recording."""
    made = data.make().recordings
    return {Path(recording.source).name: split for split, found in made.items() for recording in found}


@pytest.mark.parametrize("bad", range(3))
def test_fewer_than_three_files_that_decode_are_split_in_time(bad: int, tmp_path: Path) -> None:
    for number in range(3):
        record(tmp_path / f"music/{number}.wav", 18, number)
    (tmp_path / f"music/{bad}.wav").write_bytes(b"no audio at all " * 20)
    data = stored(tmp_path / "music")
    report = data.make()
    assert {split: len(found) for split, found in report.recordings.items()} == {"train": 2, "val": 2, "test": 2}
    assert [Path(entry.source).name for entry in report.skipped] == [f"{bad}.wav"]
    again = data.make()
    assert (again.recordings, again.made) == (report.recordings, 0)


def test_a_split_of_files_that_do_not_decode_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    record(tmp_path / "music/train/a.wav", 1, 0)
    record(tmp_path / "music/val/b.wav", 1, 1)
    (tmp_path / "music/test").mkdir()
    (tmp_path / "music/test/c.wav").write_bytes(b"no audio at all " * 20)
    with caplog.at_level(logging.WARNING):
        stored(tmp_path / "music").make()
    assert "recordings that train: 1; nothing is tested" in caplog.text


def test_added_files_train_where_a_run_is_resumed(tmp_path: Path) -> None:
    for number in range(14):
        record(tmp_path / f"music/{number:02}.wav", 0.2, number)
    data = stored(tmp_path / "music")
    before, names = place(data), data.names()
    added = {f"new {number}.wav": "train" for number in range(6)}
    for number, name in enumerate(added):
        record(tmp_path / "music" / name, 0.2, 20 + number)
    state = {"store": data.folder.name, "held_out": names}
    resumed = replace(data, held_out=data.kept_names(state))
    assert place(resumed) == before | added
    assert data.kept_names({"store": "another", "held_out": names}) is None
    assert data.kept_names({"store": data.folder.name}) is None, "a checkpoint of an earlier version has no names"


def test_folders_that_give_the_splits_win_over_the_names_of_a_checkpoint(tmp_path: Path) -> None:
    for number, split in enumerate(("train", "val", "test")):
        record(tmp_path / f"music/{split}/{split}.wav", 0.2, number)
    data = replace(stored(tmp_path / "music"), held_out={"val": ["test/test.wav"], "test": ["train/train.wav"]})
    assert place(data) == {f"{split}.wav": split for split in ("train", "val", "test")}


def test_names_in_the_other_unicode_form_are_the_same_recordings(tmp_path: Path) -> None:
    for number, name in enumerate(("a", "ez", "\u00e9l", "z", "\u00f61", "p", "\u00e9lan", "\u00fcber", "zz")):
        record(tmp_path / "music" / unicodedata.normalize("NFC", f"{name}.wav"), 0.2, number)
    composed = stored(tmp_path / "music")
    composed.make()
    fingerprint, names = composed.fingerprint, composed.names()
    for path in sorted((tmp_path / "music").iterdir()):
        path.rename(path.with_name(unicodedata.normalize("NFD", path.name)))
    decomposed = replace(stored(tmp_path / "music"), held_out=names)
    decomposed.make()
    assert (decomposed.fingerprint, decomposed.names()) == (fingerprint, names)
