"""Download recordings into a folder: those of the published experiment, or any list of URLs or YouTube ids."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from sequnet_pl.audio.files import SUFFIXES
from sequnet_pl.data.download.items import Item, read_list
from sequnet_pl.data.download.report import REPORT, Entries, Entry, Options, read_report
from sequnet_pl.errors import UserError


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
