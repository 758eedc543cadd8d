"""Options of a download, and its report: `report.csv`, beside the recordings, with a row for each."""

import csv
import io
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from sequnet_pl import atomic
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
