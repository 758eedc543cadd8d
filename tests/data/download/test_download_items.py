"""Lists of recordings: what is taken for an id or a URL, names of files, splits, and what is refused."""

import re
from collections import Counter
from pathlib import Path

import pytest

from sequnet_pl.data.download.items import PIANO_LIST, item, read_list
from sequnet_pl.errors import UsageError, UserError

VIDEO = "-_3abcDEF45"


def written(tmp_path: Path, text: str, name: str = "list.txt") -> Path:
    (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path / name


def test_published_recordings() -> None:
    items = read_list(PIANO_LIST)
    assert Counter(one.split for one in items) == {"train": 253, "test": 24}
    assert len(items) == 277
    assert all(one.stem == one.recording for one in items)


@pytest.mark.parametrize(
    "text",
    [VIDEO, *(f"https://{path}" for path in (f"youtu.be/{VIDEO}?t=10", f"music.youtube.com/watch?v={VIDEO}&list=x"))],
)
def test_youtube_is_known_by_its_id(text: str) -> None:
    assert item(text).stem == item(text).recording == VIDEO
    assert item(text).url.endswith(f"watch?v={VIDEO}")


@pytest.mark.parametrize("url", ["http://x/../../etc/passwd", "https://youtubes.example/a?v=1"])
def test_other_sites_are_named_by_a_hash(url: str) -> None:
    assert re.fullmatch(r"[0-9a-f]{16}", item(url).stem)
    assert item(url).stem != item(url + "?").stem


WRONG = [
    "",
    "abc",
    VIDEO + "x",
    "../../../a.b",
    "http:///a",
    "example.org/a.mp3",
    "file:///etc/passwd",
    "ftp://x/a.mp3",
]


@pytest.mark.parametrize("text", [*WRONG, "https://x/a b", "https://x/\x1b[31m", "https://x/\n"])
def test_neither_id_nor_url(text: str) -> None:
    with pytest.raises(UsageError, match="neither a YouTube id"):
        item(text)


def test_text(tmp_path: Path) -> None:
    lines = f"\ufeff# mine\n\n  {VIDEO} \nhttps://example.org/a.mp3\r\nhttps://youtu.be/{VIDEO}\n"
    assert read_list(written(tmp_path, lines)) == [item(VIDEO), item("https://example.org/a.mp3")]


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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "names no recordings|no column"),
        ("split,id\ntrain,x\n", "no column video_id or url"),
        ("split,video_id\n", "names no recordings"),
        (f"split,video_id\ntrain,{VIDEO}\n\n,{VIDEO}\n", "line 4: the split '' is none of train"),
        (f"split,video_id\n../up,{VIDEO}\n", r"line 2: the split '\.\./up' is none of train, val, test"),
        ("split,video_id\ntrain\n", "line 2: '' is neither"),
        (f"split,video_id\ntrain,{VIDEO}\ntest,https://youtu.be/{VIDEO}\n", "line 3: .* is in train already"),
    ],
)
def test_bad_list_is_one_line_with_its_number(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message) as caught:
        read_list(written(tmp_path, text, "list.csv"))
    assert "\n" not in str(caught.value)


def test_list_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No such file"):
        read_list(tmp_path / "none.txt")
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="not text in UTF-8"):
        read_list(tmp_path / "bytes.txt")
