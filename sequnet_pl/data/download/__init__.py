"""Download recordings into a folder: those of the published experiment, or any list of URLs or YouTube ids."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from sequnet_pl.audio.files import SUFFIXES
from sequnet_pl.data.download.items import PIANO_LIST, Item, read_list
from sequnet_pl.data.download.options import Options
from sequnet_pl.data.download.report import REPORT, Entries, Entry, Status, read_report, write_report
from sequnet_pl.errors import UserError

PIANO_RECORDINGS = 277
PIANO_HOURS = 607
_MEGABYTES_AN_HOUR = (50, 60)  # of opus, as YouTube has it
_INSTEAD = (
    "name a folder of your own with --audio_dir FOLDER, or take the built-in recordings with --dataset builtin instead"
)


@dataclass(frozen=True)
class Plan:
    """Rows of the items that are present or gone, and the items to fetch."""

    done: dict[Item, Entry]
    todo: list[Item]


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


def plan(items: Sequence[Item], folder: Path, entries: Entries, options: Options) -> Plan:
    """Compare a list with a folder and its report."""
    files = {split: _files(folder / split) for split in {item.split for item in items}}
    result = Plan({}, [])
    for item in items:
        last = entries.get((item.split, item.recording))
        if file := files[item.split].get(item.stem):
            last = last or Entry(item.recording, item.split, Status.OK)
            file_name = file.relative_to(folder).as_posix()
            result.done[item] = replace(last, status=Status.OK, reason="", file=file_name)
        elif last is None or last.status is Status.FAILED or options.retry_failed:
            result.todo.append(item)
        elif last.status is Status.OK:
            reason = "deleted after its download; --retry-failed fetches it again"
            result.done[item] = replace(last, status=Status.GONE, reason=reason, file="")
        else:
            result.done[item] = last
    return result


def _files(folder: Path) -> dict[str, Path]:
    found = folder.iterdir() if folder.is_dir() else ()
    return {path.stem: path for path in found if path.suffix.lower() in SUFFIXES}


def download(
    items: Sequence[Item],
    folder: Path,
    options: Options | None = None,
    console: Console | None = None,
    hours: float | None = None,
) -> Result:
    """Download the missing recordings of a list into `folder`, by split where the list has splits.

    Before it starts, the number of recordings is printed, with their length and size where `hours`, the mean length of
    a recording, is known. The report, `report.csv`, is written after each recording. A run that was stopped (by a rate
    limit, Ctrl-C or otherwise) is resumed by the next call. Raises UserError where the folder cannot be written, or the
    cookies cannot be read.
    """
    options = options or Options()
    console = console or Console(stderr=True, soft_wrap=True)
    entries = read_report(folder)
    planned = plan(items, folder, entries, options)
    stopped = ""
    if folder.exists() and not os.access(folder, os.W_OK):
        stopped = f"{folder} cannot be written" if planned.todo else ""
    else:
        rows = {(item.split, item.recording): entry for item, entry in planned.done.items()}
        if any(entries.get(key) != entry for key, entry in rows.items()):
            entries |= rows
            write_report(folder, entries.values())
        if planned.todo:
            from sequnet_pl.data.download.fetch import fetch_all  # yt-dlp is slow to import, and mostly not needed

            console.print(announcement(planned, folder, hours), markup=False, highlight=False)
            stopped = fetch_all(planned.todo, folder, entries, options, console)
    fetched = {item: row for item in planned.todo if (row := entries.get((item.split, item.recording)))}
    ended = planned.done | fetched
    result = Result([ended[item] for item in items if item in ended], len(items) - len(ended), stopped, folder)
    if planned.todo:
        text = f"{len(result.files)} of {len(items)} recordings are in {folder}; reasons are in {folder / REPORT}"
        console.print(text, markup=False, highlight=False)
    if stopped:
        console.print(f"Stopped: {stopped}. The same command resumes.", markup=False, highlight=False)
    return result


def announcement(planned: Plan, folder: Path, hours: float | None) -> str:
    """A line on what is about to be fetched."""
    count, present = len(planned.todo), sum(bool(entry.file) for entry in planned.done.values())
    text = f"Recordings to fetch into {folder}: {count}"
    if hours is not None:
        low, high = (hours * count * megabytes / 1000 for megabytes in _MEGABYTES_AN_HOUR)
        text += f", about {hours * count:.0f} hours and, as an estimate, {low:.1f} to {high:.1f} GB"
    text += f"; present: {present}; gone or deleted: {len(planned.done) - present}"
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    return f"{text}; free: {shutil.disk_usage(existing).free / 1e9:.0f} GB"


def download_piano(folder: Path) -> None:
    """Download the missing ones of the published piano recordings into `folder`/train and `folder`/test.

    No server is contacted where all are present or gone. Raises UserError where none of them can be used.
    """
    try:
        result = download(read_list(PIANO_LIST), folder, hours=PIANO_HOURS / PIANO_RECORDINGS)
    except UserError as error:
        raise UserError(f"{error}; {_INSTEAD}") from error
    if not result.files:
        why = result.stopped or f"the reasons are in {folder / REPORT}"
        raise UserError(f"none of the piano recordings could be downloaded ({why}); {_INSTEAD}")
