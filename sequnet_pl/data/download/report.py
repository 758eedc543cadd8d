"""The report beside the recordings, one row each, and the download archive: what came, and why the rest did not."""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from pathlib import Path

from rich.table import Table
from rich.text import Text

from sequnet_pl import atomic
from sequnet_pl.data.download.items import Item
from sequnet_pl.errors import UserError

REPORT = "report.csv"
ARCHIVE = "archive.txt"


class Status(StrEnum):
    """How the download of a recording ended."""

    OK = "ok"
    CACHED = "cached"
    UNAVAILABLE = "unavailable"
    PRIVATE = "private"
    REMOVED = "removed"
    GEO_BLOCKED = "geo-blocked"
    AGE_GATED = "age-gated"
    BOT_CHECK = "bot check"
    RATE_LIMITED = "rate limited"
    NETWORK = "network"
    NO_SPACE = "no space"
    POST_PROCESSING = "post-processing"


HEALS = frozenset({Status.BOT_CHECK, Status.RATE_LIMITED, Status.NETWORK, Status.NO_SPACE})
"""Failures that another time of asking can mend."""
HEALS_WITH_COOKIES = HEALS | {Status.AGE_GATED, Status.PRIVATE}
"""The same for one who is signed in."""


@dataclass(frozen=True)
class Entry:
    """A row of the report. `file` is relative to its folder, empty where there is none; times are ISO 8601 in UTC."""

    recording: str
    split: str
    status: Status
    reason: str = ""
    file: str = ""
    time: str = ""
    until: str = ""


class Report:
    """The report and the archive of a folder, written whole after each change."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._entries = _read_report(folder / REPORT)
        self._archive = dict.fromkeys(_read(folder / ARCHIVE).splitlines())

    def of(self, item: Item) -> Entry | None:
        """How an item ended last time, None where it was never tried."""
        return self._entries.get((item.split, item.recording))

    def archived(self, item: Item) -> bool:
        """Whether an item has ever come."""
        return item.key in self._archive

    def record(self, rows: Mapping[Item, Entry]) -> None:
        """Add or replace rows; what came goes into the archive too. Raises UserError where writing fails."""
        came = {item.key: None for item, entry in rows.items() if entry.file}
        if not came.keys() <= self._archive.keys():
            self._archive |= came
            atomic.write_text(self._folder / ARCHIVE, "".join(f"{key}\n" for key in self._archive))
        if any(self.of(item) != entry for item, entry in rows.items()):
            self._entries |= {(item.split, item.recording): entry for item, entry in rows.items()}
            atomic.write_text(self._folder / REPORT, _to_csv(self._entries.values()))


def summary(entries: Iterable[Entry], untried: int) -> Table:
    """How many ended how, and why the first of each did not come."""
    entries = list(entries)
    counts = Counter(entry.status for entry in entries)
    table = Table("status", "recordings", "reason (of the first)", title="downloads")
    for status in Status:
        if counts[status]:
            reasons = (
                f"{entry.recording}: {entry.reason}" for entry in entries if entry.status is status and entry.reason
            )
            table.add_row(status.value, str(counts[status]), Text(next(reasons, "")))
    if untried:
        table.add_row("not tried", str(untried), "")
    return table


def _to_csv(entries: Iterable[Entry]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(Entry)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(entry) for entry in entries)
    return text.getvalue()


def _read_report(path: Path) -> dict[tuple[str, str], Entry]:
    text = _read(path)
    reader = csv.DictReader(text.splitlines())
    names = [field.name for field in fields(Entry)]
    if text and reader.fieldnames != names:
        raise UserError(f"{path} is not a report of downloads (columns {', '.join(names)}); move it elsewhere")
    known = {status.value: status for status in Status}
    entries = {}
    for row in reader:
        status = known.get(row.pop("status"))
        if status:  # a row that a hand has spoilt is as good as none: the recording is tried again
            entry = Entry(status=status, **{name: row[name] or "" for name in names if name in row})
            entries[entry.split, entry.recording] = entry
    return entries


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {path}: {error}; move it elsewhere") from error
