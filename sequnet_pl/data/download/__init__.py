"""Download recordings into a folder: those of the published experiment, or any list of URLs or YouTube ids."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from sequnet_pl.audio.files import SUFFIXES
from sequnet_pl.data.download.items import PIANO_LIST, Item, read_list
from sequnet_pl.data.download.report import REPORT, Entries, Entry, Options, Status, read_report, write_report
from sequnet_pl.errors import UserError

__all__ = ["REPORT", "Options", "Result", "Status", "download", "download_list", "read_report"]

PIANO_HOURS = 607 / 277
"""Mean length of a published recording."""
_MEGABYTES_AN_HOUR = (50, 60)  # of opus, as YouTube has it
_INSTEAD = "; name a folder of your own with --audio_dir FOLDER, or use the built-in piano with --dataset builtin"


@dataclass(frozen=True)
class Result:
    """Result of a download.

    Attributes:
        entries: A row for each recording of the list that was tried, in this run or before.
        untried: Number of recordings that were not, because the run stopped first.
        stopped: Reason for stopping before the last one; empty where there is none.
        folder: Folder of the recordings and the report.
    """

    entries: list[Entry]
    untried: int
    stopped: str
    folder: Path

    @property
    def files(self) -> list[Path]:
        """The recordings of the list that are present."""
        return [self.folder / entry.file for entry in self.entries if entry.file]

    @property
    def exit_status(self) -> int:
        """1 where the run stopped early or nothing usable is present, else 0."""
        return 1 if self.stopped or not self.files else 0


def plan(items: Sequence[Item], folder: Path, entries: Entries, options: Options) -> dict[Item, Entry]:
    """Return the rows of the items that are present or gone; the others are to be fetched."""
    folders = {folder / item.split for item in items}
    present = {path.with_suffix(""): path for each in folders if each.is_dir() for path in each.iterdir()}
    done: dict[Item, Entry] = {}
    for item in items:
        last = entries.get((item.split, item.recording)) or Entry(item.recording, item.split, Status.FAILED)
        file = present.get(folder / item.split / item.stem)
        if file and file.suffix.lower() in SUFFIXES:
            done[item] = replace(last, status=Status.OK, reason="", file=file.relative_to(folder).as_posix())
        elif last.status is Status.OK and not options.retry_failed:
            reason = "deleted after its download; --retry-failed fetches it again"
            done[item] = replace(last, status=Status.GONE, reason=reason, file="")
        elif last.status is Status.GONE and not options.retry_failed:
            done[item] = last
    return done


def download(
    items: Sequence[Item],
    folder: Path,
    options: Options | None = None,
    console: Console | None = None,
    hours: float | None = None,
) -> Result:
    """Download the missing recordings of a list into `folder`, by split where the list has splits.

    Before it starts, the number of recordings is printed, with their length and size where `hours`, the mean length of
    a recording, is known. The report is written after each recording. A run that was stopped (by a rate limit, Ctrl-C
    or otherwise) is resumed by the next call. Raises UserError where the folder cannot be written, or the cookies
    cannot be read.
    """
    options = options or Options()
    console = console or Console(stderr=True, soft_wrap=True)
    entries = read_report(folder)
    done = plan(items, folder, entries, options)
    todo = [item for item in items if item not in done]
    stopped = ""
    if folder.exists() and not os.access(folder, os.W_OK):
        stopped = f"{folder} cannot be written" if todo else ""
    else:
        rows = {(item.split, item.recording): entry for item, entry in done.items()}
        if any(entries.get(key) != entry for key, entry in rows.items()):
            entries |= rows
            write_report(folder, entries.values())
        if todo:
            from sequnet_pl.data.download.fetch import fetch_all  # yt-dlp is slow to import, and mostly not needed

            console.print(announcement(items, done, folder, hours), markup=False, highlight=False)
            stopped = fetch_all(todo, folder, entries, options, console)
    done |= {item: entry for item in todo if (entry := entries.get((item.split, item.recording)))}
    result = Result([done[item] for item in items if item in done], len(items) - len(done), stopped, folder)
    if todo:
        text = f"{len(result.files)} of {len(items)} recordings are in {folder}; reasons are in {folder / REPORT}"
        console.print(text, markup=False, highlight=False)
    if stopped:
        console.print(f"Stopped: {stopped}. The same command resumes.", markup=False, highlight=False)
    return result


def announcement(items: Sequence[Item], done: dict[Item, Entry], folder: Path, hours: float | None) -> str:
    """Return a line on what is about to be fetched."""
    count, present = len(items) - len(done), sum(bool(entry.file) for entry in done.values())
    text = f"Recordings to fetch into {folder}: {count}"
    if hours is not None:
        low, high = (hours * count * megabytes / 1000 for megabytes in _MEGABYTES_AN_HOUR)
        text += f", about {hours * count:.0f} hours and, as an estimate, {low:.1f} to {high:.1f} GB"
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(existing).free / 1e9
    return f"{text}; present: {present}; gone or deleted: {len(done) - present}; free: {free:.0f} GB"


def download_list(path: Path, folder: Path) -> list[Path]:
    """Download the missing recordings of a list, such as PIANO_LIST, and return those that are present.

    No server is contacted where all are present or gone. Raises UserError where none of them can be used.
    """
    is_piano = path == PIANO_LIST
    advice, hours = (_INSTEAD, PIANO_HOURS) if is_piano else ("", None)
    items = read_list(path)
    try:
        result = download(items, folder, hours=hours)
    except UserError as error:
        raise UserError(f"{error}{advice}") from error
    if not result.files:
        reason = result.stopped or f"the reasons are in {folder / REPORT}"
        name = "piano recordings" if is_piano else f"{len(items)} recordings of {path}"
        raise UserError(f"none of the {name} could be downloaded ({reason}){advice}")
    return result.files
