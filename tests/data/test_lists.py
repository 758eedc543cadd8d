"""Lists of audio files and of recordings to download: ids and URLs, names of files, splits, and what is refused."""

import os
import re
from collections import Counter
from pathlib import Path

import pytest
from recordings import touch

from sequnet_pl.data.download.items import PIANO_LIST, item, read_list
from sequnet_pl.data.sources import read_files
from sequnet_pl.data.stored import StoredRecordings
from sequnet_pl.errors import UsageError, UserError

VIDEO = "-_3abcDEF45"


def written(folder: Path, text: str, name: str = "list.csv") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_published_recordings() -> None:
    items = read_list(PIANO_LIST)
    assert Counter(one.split for one in items) == {"train": 253, "test": 24}
    assert all(one.stem == one.recording for one in items)


def test_youtube_is_known_by_its_id_and_other_sites_by_a_hash() -> None:
    for text in (VIDEO, f"https://youtu.be/{VIDEO}?t=10", f"https://music.youtube.com/watch?v={VIDEO}&list=x"):
        assert item(text).stem == item(text).recording == VIDEO
        assert item(text).url.endswith(f"watch?v={VIDEO}")
    for url in ("http://x/../../etc/passwd", "https://youtubes.example/a?v=1"):
        assert re.fullmatch(r"[0-9a-f]{16}", item(url).stem)
        assert item(url).stem != item(url + "?").stem


@pytest.mark.parametrize(
    "text",
    ["", VIDEO + "x", "example.org/a.mp3", "http:///a", "file:///etc/passwd", "https://x/a b", "https://x/\x1b[31m"],
)
def test_neither_id_nor_url(text: str) -> None:
    with pytest.raises(UsageError, match="neither a YouTube id"):
        item(text)


def test_text(tmp_path: Path) -> None:
    lines = f"\ufeff# mine\n\n  {VIDEO} \nhttps://example.org/a.mp3\r\nhttps://youtu.be/{VIDEO}\n"
    assert read_list(written(tmp_path, lines, "list.txt")) == [item(VIDEO), item("https://example.org/a.mp3")]


@pytest.mark.parametrize(
    ("header", "row", "split"),
    [
        ("split,video_id", f"val,{VIDEO}", "val"),
        ("video_id, split", f"{VIDEO},val", "val"),
        ("title,split,url", f'"a, b",val,{VIDEO}', "val"),
        ("url", VIDEO, ""),
    ],
)
def test_csv(header: str, row: str, split: str, tmp_path: Path) -> None:
    assert read_list(written(tmp_path, f"{header}\n{row}\n{row}\n", "list.CSV")) == [item(VIDEO, split)]


def test_a_list_gives_the_splits_of_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "a/1.wav", "2, two.mp3", "3.flac", "4.ogg", "list/x")
    rows = f'split, path\nval,../a/1.wav\ntrain,"../2, two.mp3"\n\nval,../3.flac\ntest,{tmp_path}/4.ogg\n'
    written(tmp_path / "list", rows)
    monkeypatch.chdir(tmp_path)
    (parts,) = read_files(Path("list/list.csv"))
    assert {split: [path.name for path in paths] for split, paths in parts.items()} == {
        "train": ["2, two.mp3"],
        "val": ["1.wav", "3.flac"],
        "test": ["4.ogg"],
    }
    assert all(path.is_file() for paths in parts.values() for path in paths)


@pytest.mark.parametrize(
    ("option", "text", "message"),
    [
        ("recordings", "", "names no recordings|no column"),
        ("recordings", "split,id\ntrain,x\n", "no column video_id or url"),
        ("recordings", "split,video_id\n", "names no recordings"),
        ("recordings", f"split,video_id\ntrain,{VIDEO}\n\n,{VIDEO}\n", "line 4: the split '' is none of train"),
        ("recordings", f"split,url\n../up,{VIDEO}\n", r"line 2: the split '\.\./up' is none of train, val, test"),
        ("recordings", "split,video_id\ntrain\n", "line 2: '' is neither"),
        ("recordings", f"split,url\ntrain,{VIDEO}\ntest,https://youtu.be/{VIDEO}\n", "line 3: .* is in train already"),
        (
            "audio_list",
            "path,split\na.wav,train\nb.wav,training\n",
            "line 3: the split is 'training', but must be",
        ),
        ("audio_list", "path,split\n,train\n", "line 2: the path is missing"),
        ("audio_list", "path,split\na.wav,train\n\ngone.wav,val\n", "line 4: there is no file .*gone.wav"),
        ("audio_list", "path,split\na.wav,train\nb.wav,val\n./a.wav,test\n", "line 4: ./a.wav is in line 2"),
        ("audio_list", "path,split\nb.wav,val\n", "list.csv has no audio to train on"),
        ("audio_list", "", "has no column path and split"),
        ("audio_list", "file,split\na.wav,train\n", "has no column path;"),
        ("audio_list", 'path,split\n"' + "a" * 200_000 + '",train\n', "not a csv"),
    ],
    ids=range(15),
)
def test_bad_list_is_one_line_with_its_number(tmp_path: Path, option: str, text: str, message: str) -> None:
    touch(tmp_path, "a.wav", "b.wav")
    with pytest.raises(UserError, match=message) as caught:
        StoredRecordings.of({option: str(written(tmp_path, text))}).check()
    assert "\n" not in str(caught.value)


def test_list_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No such file"):
        read_list(tmp_path / "none.txt")
    (tmp_path / "list.csv").write_bytes(b"path,split\n\xff.wav,train\n")
    with pytest.raises(UserError, match="not text in UTF-8"):
        read_list(tmp_path / "list.csv")
    with pytest.raises(UserError, match="line 2: there is no file"):
        read_files(tmp_path / "list.csv")
    touch(tmp_path, os.fsdecode(b"\xff.wav"))
    assert [os.fsencode(path.name) for path in read_files(tmp_path / "list.csv")[0]["train"]] == [b"\xff.wav"]
