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
from sequnet_pl.data.download.report import (
    HEALS,
    HEALS_WITH_COOKIES,
    REPORT,
    Entry,
    Report,
    Status,
    summary,
)
from sequnet_pl.errors import UserError

PIANO_RECORDINGS = 277
PIANO_HOURS = 607
_MEGABYTES_AN_HOUR = (50, 60)  # of opus, as YouTube has it


@dataclass(frozen=True)
class Plan:
    """What a list needs: `present` is there, `settled` failed for good or was deleted since, `todo` is fetched."""

    present: dict[Item, Entry]
    settled: dict[Item, Entry]
    todo: list[Item]


@dataclass(frozen=True)
class Result:
    """How a download ended.

    Attributes:
        entries: A row for each recording of the list that was tried, now or before.
        untried: How many were not, because the run stopped first.
        stopped: Why it stopped before the last one; empty where it did not.
        folder: Where the recordings and the report are.
    """

    entries: list[Entry]
    untried: int
    stopped: str
    folder: Path

    @property
    def files(self) -> list[Path]:
        """The recordings of the list that are there."""
        return [self.folder / entry.file for entry in self.entries if entry.file]

    @property
    def exit_status(self) -> int:
        """1 where nothing usable is there or a server limited us, else 0."""
        limited = self.stopped and any(entry.status is Status.RATE_LIMITED for entry in self.entries)
        return 1 if limited or not self.files else 0


def plan(items: Sequence[Item], folder: Path, report: Report, options: Options) -> Plan:
    """Tell what is there and what is to be fetched: what was never tried first, then what failed longest ago."""
    files = {split: _files(folder / split) for split in {item.split for item in items}}
    heals = HEALS_WITH_COOKIES if options.cookies else HEALS
    result = Plan({}, {}, [])
    for item in items:
        row = Entry(item.recording, item.split, Status.CACHED)
        last = report.of(item)
        if item.stem in files[item.split]:
            file = files[item.split][item.stem].relative_to(folder).as_posix()
            result.present[item] = replace(row, file=file, time=last.time if last else "")
        elif options.retry_failed:
            result.todo.append(item)
        elif report.archived(item):
            result.settled[item] = replace(row, reason="deleted after it came; --retry-failed fetches it again")
        elif last and last.status not in heals | {Status.OK, Status.CACHED}:
            result.settled[item] = last
        else:
            result.todo.append(item)
    times = {item: last.time for item in result.todo if (last := report.of(item))}
    result.todo.sort(key=lambda item: times.get(item, ""))
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
    """Download what is missing of a list into `folder`, by split where it has splits, and sum up how each ended.

    Says first how many there are to fetch, and how long and large they are where `hours`, the mean length of a
    recording, is known. The report, `report.csv`, is there after each recording. A run that was stopped, by a server's
    limit, by Ctrl-C or otherwise, is gone on with by the next one. Raises UserError where the folder cannot be
    written, or the cookies cannot be read.
    """
    options = options or Options()
    console = console or Console(stderr=True, soft_wrap=True)
    report = Report(folder)
    planned = plan(items, folder, report, options)
    writable = not folder.exists() or os.access(folder, os.W_OK)
    stopped = ""
    if writable:
        report.record(planned.present)
    elif planned.todo:
        stopped = f"{folder} cannot be written"
    if planned.todo and writable:
        from sequnet_pl.data.download.run import fetch_all  # yt-dlp is slow to import, and mostly not needed

        console.print(announcement(planned, folder, hours), markup=False, highlight=False)
        stopped = fetch_all(planned.todo, folder, report, options, console)
    now = {item: entry for item in planned.todo if (entry := report.of(item))}
    ended = planned.present | planned.settled | now
    result = Result([ended[item] for item in items if item in ended], len(items) - len(ended), stopped, folder)
    if planned.todo:
        console.print(summary(result.entries, result.untried))
        text = f"{len(result.files)} of {len(items)} recordings are in {folder}; {folder / REPORT} says more"
        console.print(text, markup=False)
    if stopped:
        console.print(f"Stopped: {stopped}. The same command goes on from here.", markup=False)
    return result


def announcement(planned: Plan, folder: Path, hours: float | None) -> str:
    """What is about to be fetched, in a line."""
    count = len(planned.todo)
    text = f"Recordings to fetch into {folder}: {count}"
    if hours is not None:
        low, high = (hours * count * megabytes / 1000 for megabytes in _MEGABYTES_AN_HOUR)
        text += f", about {hours * count:.0f} hours and, as an estimate, {low:.1f} to {high:.1f} GB"
    text += f"; there already: {len(planned.present)}"
    if planned.settled:
        text += f"; failed for good or deleted: {len(planned.settled)}"
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    return f"{text}; free: {shutil.disk_usage(existing).free / 1e9:.0f} GB"


def download_piano(folder: Path) -> None:
    """Download what is missing of the published piano recordings into `folder`/train and `folder`/test.

    Does nothing where all are there or failed for good. Raises UserError where none of them can be used.
    """
    try:
        result = download(read_list(PIANO_LIST), folder, hours=PIANO_HOURS / PIANO_RECORDINGS)
    except UserError as error:
        raise UserError(f"{error}; {_INSTEAD}") from error
    if not result.files:
        why = result.stopped or f"{folder / REPORT} says why"
        raise UserError(f"none of the piano recordings could be downloaded ({why}); {_INSTEAD}")


_INSTEAD = (
    "name a folder of your own with --audio_dir FOLDER, or take the built-in recordings with --dataset builtin instead"
)
