"""Options of a download, and its report: `report.csv`, beside the recordings, with a row for each."""

import csv
import io
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path

from sequnet_pl import atomic
from sequnet_pl.errors import UsageError, UserError

REPORT = "report.csv"


@dataclass(frozen=True)
class Options:
    """Options of a download.

    Args:
        sleep: Least pause before a download, s; at most twice as much.
        timeout: Time without an answer or a byte after which a connection counts as lost, s.
        retries: How often a broken transfer is resumed within a run.
        cookies: A file of cookies in Netscape's format; it is only read.
        retry_failed: Retry what is gone, and what was deleted after its download.
        max_bytes: Limit for a recording of unknown length, such as a radio stream.
        max_hours: Limit for the time that such a recording takes.
    """

    sleep: float = 10.0
    timeout: float = 20.0
    retries: int = 5
    cookies: Path | None = None
    retry_failed: bool = False
    max_bytes: float = 2e9
    max_hours: float = 2.0

    def __post_init__(self) -> None:
        if not 0 <= self.sleep < float("inf"):
            raise UsageError("--sleep must be at least 0")
        if not (self.max_bytes > 0 and self.max_hours > 0):
            raise UsageError("--max-gb and --max-hours must be more than 0")


@dataclass(frozen=True)
class Entry:
    """A row of the report, of one recording in one split.

    `status` is `ok` (present), `failed` (retried by the next run) or `gone` (not retried); `file` is relative to the
    folder, empty where there is none; `time` is ISO 8601 in UTC.
    """

    recording: str
    split: str
    status: str
    reason: str = ""
    file: str = ""
    time: str = field(default_factory=lambda: datetime.now(UTC).isoformat(" ", timespec="seconds"))


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
            raise UserError(f"{path} is not a report of downloads (columns {', '.join(_COLUMNS)}); move it elsewhere")
        rows = [Entry(**{name: row[name] or "" for name in _COLUMNS}) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"cannot read {path}: {error}; move it elsewhere") from error
    return {(row.split, row.recording): row for row in rows}


def write_report(folder: Path, entries: Iterable[Entry]) -> None:
    """Replace the report of a folder. Raises UserError where that fails."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(entry) for entry in entries)
    atomic.write_text(folder / REPORT, text.getvalue())
