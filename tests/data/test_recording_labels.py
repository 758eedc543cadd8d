"""Where the labels of recordings come from."""

from itertools import chain

import pytest
from tones import tone

from sequnet_pl.data.stored import StoredRecordings
from sequnet_pl.errors import UsageError, UserError


def stored(tmp_path, **options):
    return StoredRecordings(data_dir=str(tmp_path / "data"), labels="folder", store_workers=1, **options)


def labels_of(recordings):
    recordings.make()
    return {
        split: sorted(zip((one.source.rsplit("/", 1)[1] for one in opened.recordings), labels, strict=True))
        for split, opened in recordings.splits.items()
        if (labels := recordings.recording_labels(split))
    }


@pytest.mark.parametrize("splits", [("train", "val", "test"), ("Train", "dev", "TEST")])
def test_the_first_folder_below_the_split(tmp_path, splits):
    """An accent is the same in either of its Unicode forms."""
    train, val, test = splits
    composed, decomposed = "Dvo\u0159\u00e1k", "Dvor\u030ca\u0301k"
    paths = [f"{train}/a/1.wav", f"{train}/{decomposed}/2.wav", f"{train}/3.wav", f"{val}/a/deep/4.wav"]
    for path in [*paths, f"{test}/{composed}/5.wav", f"{test}/c/6.wav"]:
        tone(tmp_path / "music" / path, 0.1)
    recordings = stored(tmp_path, audio_dir=str(tmp_path / "music"))
    assert recordings.label_names() == [composed, "a"]
    assert labels_of(recordings) == {
        "train": [("1.wav", "a"), ("2.wav", composed), ("3.wav", "")],
        "val": [("4.wav", "a")],
        "test": [("5.wav", composed), ("6.wav", "c")],
    }


def test_folders_without_splits_are_labels(tmp_path):
    for number in range(6):
        tone(tmp_path / "music" / ("dev" if number % 2 else "bach") / f"{number}.wav", 0.1)
    recordings = stored(tmp_path, audio_dir=str(tmp_path / "music"))
    assert recordings.label_names() == ["bach", "dev"]
    found = dict(chain(*labels_of(recordings).values()))
    assert found == {f"{number}.wav": "dev" if number % 2 else "bach" for number in range(6)}


def test_several_folders_each_have_labels(tmp_path):
    for path in ("one/a/1.wav", "two/b/2.wav", "two/a/3.wav"):
        tone(tmp_path / path, 0.3)
    recordings = stored(tmp_path, audio_dir=[str(tmp_path / "one"), str(tmp_path / "two")])
    assert recordings.label_names() == ["a", "b"]


def list_of(tmp_path, header):
    rows = [("1.wav", "train", "x y"), ("2.wav", "train", ""), ("3.wav", "val", "x y"), ("4.wav", "test", "z")]
    for name, *_ in rows:
        tone(tmp_path / name, 0.1)
    path = tmp_path / "list.csv"
    path.write_text("\n".join([header, *(",".join(row) for row in rows)]))
    return str(path)


def test_the_column_of_a_list(tmp_path):
    recordings = stored(tmp_path, audio_list=list_of(tmp_path, "path,split,label"))
    assert recordings.label_names() == ["x y"]
    assert labels_of(recordings) == {
        "train": [("1.wav", "x y"), ("2.wav", "")],
        "val": [("3.wav", "x y")],
        "test": [("4.wav", "z")],
    }


def test_labels_are_in_the_fingerprint(tmp_path):
    for name in ("a", "b"):
        tone(tmp_path / "music" / "train" / name / "1.wav", 0.2, 300 if name == "a" else 400)
    recordings = stored(tmp_path, audio_dir=str(tmp_path / "music"))
    recordings.make()
    plain = StoredRecordings(data_dir=str(tmp_path / "data"), audio_dir=str(tmp_path / "music"))
    assert plain.folder == recordings.folder
    assert plain.fingerprint != recordings.fingerprint


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"dataset": "builtin"}, UsageError, "--labels folder needs --audio_dir, or --audio_list"),
        ({"audio_dir": "flat"}, UserError, "finds no labels"),
        ({"audio_list": "list.csv"}, UserError, "has no column label"),
    ],
)
def test_where_there_are_none(tmp_path, options, kind, message, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tone(tmp_path / "flat" / "1.wav", 0.1)
    list_of(tmp_path, "path,split,other")
    recordings = stored(tmp_path, **options)
    with pytest.raises(kind, match=message):
        recordings.check()
        recordings.label_names()
