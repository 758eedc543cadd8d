"""Lists of recordings to download: YouTube ids and URLs, from a csv or a text file, to items with names of our own."""

import csv
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from sequnet_pl.errors import UsageError, UserError
from sequnet_pl.project import ROOT

PIANO_LIST = ROOT / "data" / "piano.csv"
"""The recordings of the published experiment."""
SPLITS = ("train", "val", "test")

_VIDEO_ID = re.compile(r"[0-9A-Za-z_-]{11}")


@dataclass(frozen=True)
class Item:
    """One recording to download.

    Attributes:
        recording: The YouTube id or URL in the list.
        url: Its address.
        stem: Name of its file without the suffix: the id, or a hash of the URL, so that no name comes from the network.
        split: `train`, `val` or `test`; empty where the list has no splits.
    """

    recording: str
    url: str
    stem: str
    split: str = ""

    @property
    def youtube(self) -> bool:
        """Whether it is a YouTube video."""
        return self.stem == self.recording


def item(text: str, split: str = "") -> Item:
    """Return the item of a YouTube id or an http(s) URL. Raises UsageError where it is neither."""
    if split and split not in SPLITS:
        raise UsageError(f"the split {split!r} is none of {', '.join(SPLITS)}")
    video_id = text if _VIDEO_ID.fullmatch(text) else _id_of_url(text)
    if video_id:
        return Item(video_id, f"https://www.youtube.com/watch?v={video_id}", video_id, split)
    return Item(text, text, hashlib.sha256(text.encode()).hexdigest()[:16], split)


def _id_of_url(url: str) -> str | None:
    """The YouTube id in a URL, None for another site's."""
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and parts.hostname and url.isprintable() and " " not in url
    except ValueError:
        valid = False
    if not valid:
        raise UsageError(f"{url!r} is neither a YouTube id of 11 characters nor a URL with http:// or https://")
    if "youtu" not in url:
        return None
    from yt_dlp.extractor.youtube import YoutubeIE  # slow to import, and only some lists need it

    found = YoutubeIE.get_temp_id(url)
    return found if found and _VIDEO_ID.fullmatch(found) else None


def read_list(path: Path) -> list[Item]:
    """Read a list of recordings; a duplicate is dropped.

    A `.csv` has a header with `video_id` or `url`, and optionally `split`; any other file is text with a URL or id a
    line, without empty lines and those with #. Raises UserError where it cannot be read, has a line that is neither, or
    has one recording in two splits (test data would be in the training set).
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"cannot read the list {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"the list {path} is not text in UTF-8") from error
    rows = _csv_rows(path, text) if path.suffix.lower() == ".csv" else _text_rows(text)
    items: dict[str, Item] = {}
    for number, recording, split in rows:
        try:
            new = item(recording, split)
        except UsageError as error:
            raise UserError(f"{path}, line {number}: {error}") from error
        known = items.setdefault(new.stem, new)
        if known.split != new.split:
            raise UserError(
                f"{path}, line {number}: {recording} is in {known.split} already; a recording has one split"
            )
    if not items:
        raise UserError(f"the list {path} names no recordings")
    return list(items.values())


def _text_rows(text: str) -> Iterator[tuple[int, str, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield number, line.strip(), ""


def _csv_rows(path: Path, text: str) -> Iterator[tuple[int, str, str]]:
    reader = csv.DictReader(text.splitlines(), skipinitialspace=True)
    names = [name.strip() for name in reader.fieldnames or ()]
    reader.fieldnames = names
    column = next((name for name in ("video_id", "url") if name in names), None)
    if column is None:
        raise UserError(f"the list {path} has no column video_id or url; its first line is its header")
    for row in reader:
        recording, split = ((row.get(name) or "").strip() for name in (column, "split"))
        if "split" in names and not split:
            raise UserError(f"{path}, line {reader.line_num}: the split is missing")
        yield reader.line_num, recording, split


def select(items: Sequence[Item], split: str | None = None, limit: int | None = None) -> list[Item]:
    """Return the first `limit` items of a split, or of all. Raises UsageError where none are left."""
    if limit is not None and limit < 1:
        raise UsageError(f"the limit is {limit}, but must be at least 1")
    chosen = [item for item in items if split is None or item.split == split]
    if not chosen:
        splits = ", ".join(sorted({item.split for item in items} - {""})) or "none"
        raise UsageError(f"the list has no split {split}; it has {splits}")
    return chosen[:limit]
