"""Lists of recordings to download: YouTube ids and URLs, from a csv or a text file, to items with names of our own."""

import csv
import hashlib
import io
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from sequnet_pl.errors import UsageError, UserError
from sequnet_pl.project import ROOT

PIANO_LIST = ROOT / "data" / "piano.csv"
"""The recordings of the published experiment."""

SPLITS = ("train", "val", "test")

_VIDEO_ID = re.compile(r"[0-9A-Za-z_-]{11}")
_URL = re.compile(r"https?://[^\s/?#]\S*")


@dataclass(frozen=True)
class Item:
    """One recording to download."""

    recording: str  # the YouTube id or URL in the list
    url: str
    stem: str  # name of its file without the suffix: the id, or a hash of the URL, so that none comes from the network
    split: str = ""  # empty where the list has no splits


def item(text: str, split: str = "") -> Item:
    """Return the item of a YouTube id or an http(s) URL. Raises UsageError where it is neither."""
    is_id = _VIDEO_ID.fullmatch(text)
    if not is_id and not (_URL.fullmatch(text) and text.isprintable()):
        raise UsageError(f"{text!r} is neither a YouTube id of 11 characters nor a URL with http:// or https://")
    video_id = text if is_id else None
    if "youtu" in text and not is_id:
        from yt_dlp.extractor.youtube import YoutubeIE  # slow to import, and only some lists need it

        video_id = YoutubeIE.get_temp_id(text)
    if video_id and _VIDEO_ID.fullmatch(video_id):
        return Item(video_id, f"https://www.youtube.com/watch?v={video_id}", video_id, split)
    return Item(text, text, hashlib.sha256(text.encode()).hexdigest()[:16], split)


def read_list(path: Path) -> list[Item]:
    """Read a list of recordings; a duplicate is dropped.

    A `.csv` has a header with `video_id` or `url`, and optionally `split`; any other file is text with a URL or id a
    line, without empty lines and those with #. Raises UserError where it cannot be read, has a line that is neither, or
    has one recording in two splits (test data would be in the training set).
    """
    if path.suffix.lower() == ".csv":
        rows = read_rows(path)
    else:
        lines = enumerate(map(str.strip, read_text(path).splitlines()), 1)
        rows = [(number, {"url": line}) for number, line in lines if line and not line.startswith("#")]
    items: dict[str, Item] = {}
    for number, row in rows:
        where = f"{path}, line {number}"
        recording, split = row.get("video_id", row.get("url")), row.get("split")
        if recording is None:
            raise UserError(f"the list {path} has no column video_id or url; its first line is its header")
        if split is not None and split not in SPLITS:
            raise UserError(f"{where}: the split {split!r} is none of {', '.join(SPLITS)}")
        try:
            new = item(recording, split or "")
        except UsageError as error:
            raise UserError(f"{where}: {error}") from error
        known = items.setdefault(new.stem, new)
        if known.split != new.split:
            raise UserError(f"{where}: {recording} is in {known.split} already; a recording has one split")
    if not items:
        raise UserError(f"the list {path} names no recordings")
    return list(items.values())


def read_rows(path: Path, columns: Collection[str] = (), errors: str = "strict") -> list[tuple[int, dict[str, str]]]:
    """Return the number of the line and the values by column of each row of a csv in UTF-8 that has these columns."""
    reader = csv.DictReader(io.StringIO(read_text(path, errors), newline=""), skipinitialspace=True)
    try:
        reader.fieldnames = [name.strip() for name in reader.fieldnames or ()]
        if missing := set(columns) - set(reader.fieldnames):
            names = " and ".join(sorted(missing))
            raise UserError(f"the list {path} has no column {names}; its first line is its header")
        return [(reader.line_num, {name: (row[name] or "").strip() for name in reader.fieldnames}) for row in reader]
    except csv.Error as error:
        raise UserError(f"the list {path} is not a csv in UTF-8") from error


def read_text(path: Path, errors: str = "strict") -> str:
    """Return the text of a list. Raise UserError where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8-sig", errors=errors)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", "it is not text in UTF-8")
        raise UserError(f"cannot read the list {path}: {reason}") from error
