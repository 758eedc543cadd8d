"""Download recordings into a folder: those of the published experiment, or any list of URLs or YouTube ids.

`report.csv` beside the recordings has a row for each.
"""

import csv
import io
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from rich.console import Console

from sequnet_pl import atomic
from sequnet_pl.audio.files import SUFFIXES
from sequnet_pl.data.download.items import Item, read_list
from sequnet_pl.errors import UsageError, UserError

REPORT = "report.csv"


@dataclass(frozen=True)
class Options:
    """Options of a download. Raises UsageError for values that make no sense."""

    sleep: float = 10.0  # least pause before a download, s; at most twice as much
    timeout: float = 20.0  # without an answer or a byte, after which a connection counts as lost, s
    retries: int = 5  # of a broken transfer within a run
    cookies: Path | None = None  # a file in Netscape's format, which is only read
    max_bytes: float = 2e9  # of a recording of unknown length, such as a radio stream
    max_hours: float = 2.0  # that such a recording takes

    def __post_init__(self) -> None:
        if not (0 <= self.sleep < float("inf") and self.max_bytes > 0 and self.max_hours > 0):
            raise UsageError("--sleep must be at least 0, and --max-gb and --max-hours more than 0")


@dataclass(frozen=True)
class Entry:
    """A row of the report, of one recording in one split."""

    recording: str
    split: str
    status: str  # ok (present), failed (retried by the next run) or gone (not retried)
    reason: str = ""
    file: str = ""  # relative to the folder; empty where there is none


Entries = dict[tuple[str, str], Entry]
"""Rows by split and recording."""
_COLUMNS = [column.name for column in fields(Entry)]


@dataclass(frozen=True)
class Result:
    """Rows of the recordings that were tried, in this run or before, and the reason for stopping early, if any."""

    entries: list[Entry]
    stopped: str
    folder: Path

    @property
    def files(self) -> list[Path]:
        """The recordings of the list that are present."""
        return [self.folder / entry.file for entry in self.entries if entry.file]


def download(
    items: Sequence[Item], folder: Path, options: Options | None = None, console: Console | None = None
) -> Result:
    """Download the missing recordings of a list into `folder`, by split where the list has splits.

    The report is written after each recording. A run that was stopped (by a rate limit, Ctrl-C or otherwise) is resumed
    by the next call. Raises UserError where the folder cannot be written, or the cookies cannot be read.
    """
    console, entries = console or Console(stderr=True), read_report(folder)
    done, stopped = plan(items, folder, entries), ""
    todo = [item for item in items if item not in done]
    if todo and folder.exists() and not os.access(folder, os.W_OK):
        stopped = f"{folder} cannot be written"
    elif todo:
        from sequnet_pl.data.download.fetch import fetch_all  # yt-dlp is slow to import, and mostly not needed

        console.out(f"Recordings to fetch into {folder}: {len(todo)}", highlight=False)
        entries |= {(entry.split, entry.recording): entry for entry in done.values()}
        stopped = fetch_all(todo, folder, entries, options or Options(), console)
        done |= {item: entry for item in todo if (entry := entries.get((item.split, item.recording)))}
    result = Result([done[item] for item in items if item in done], stopped, folder)
    if todo:
        console.out(f"{len(result.files)} of {len(items)} are in {folder}; reasons: {folder / REPORT}", highlight=False)
    if stopped:
        console.out(f"Stopped: {stopped}. The same command resumes.", highlight=False)
    return result


def plan(items: Sequence[Item], folder: Path, entries: Entries) -> dict[Item, Entry]:
    """Return the rows of the items that are present or gone; the others are to be fetched."""
    folders = [each for each in {folder / item.split for item in items} if each.is_dir()]
    files = [path for each in folders for path in each.iterdir() if path.suffix.lower() in SUFFIXES]
    present = {path.with_suffix(""): path.relative_to(folder).as_posix() for path in files}
    done: dict[Item, Entry] = {}
    for item in items:
        last = entries.get((item.split, item.recording)) or Entry(item.recording, item.split, "failed")
        if file := present.get(folder / item.split / item.stem):
            done[item] = replace(last, status="ok", reason="", file=file)
        elif last.status == "ok":
            done[item] = replace(last, status="gone", reason="deleted after its download", file="")
        elif last.status == "gone":
            done[item] = last
    return done


def download_list(path: Path, folder: Path) -> list[Path]:
    """Download the missing recordings of a list, such as PIANO_LIST, and return those that are present.

    No server is contacted where all are present or gone. Raises UserError where none of them can be used.
    """
    result = download(read_list(path), folder)
    if not result.files:
        reason = result.stopped or f"the reasons are in {folder / REPORT}"
        advice = "; use recordings of your own (--audio_dir FOLDER), or the built-in piano (--dataset builtin)"
        raise UserError(f"none of the recordings of {path} could be downloaded ({reason}){advice}")
    return result.files


def read_report(folder: Path) -> Entries:
    """Read the rows of a folder's report. Raises UserError where the file is not such a report."""
    path = folder / REPORT
    if not path.exists():
        return {}
    try:
        reader = csv.DictReader(path.read_text(encoding="utf-8").splitlines())
        if not set(_COLUMNS) <= set(reader.fieldnames or ()):
            raise ValueError(f"its columns are not {', '.join(_COLUMNS)}")
        rows = [Entry(**{name: row[name] or "" for name in _COLUMNS}) for row in reader]
    except (OSError, ValueError, csv.Error) as error:
        raise UserError(f"{path} is not a report of downloads ({error}); move it elsewhere") from error
    return {(row.split, row.recording): row for row in rows}


def write_report(folder: Path, entries: Iterable[Entry]) -> None:
    """Replace the report of a folder. Raises UserError where that fails."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(entry) for entry in entries)
    atomic.write_text(folder / REPORT, text.getvalue())
