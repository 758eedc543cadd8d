"""`report.csv`, beside the recordings: one row each, with its status and the reason of a failure."""

import csv
import io
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from sequnet_pl import atomic
from sequnet_pl.errors import UserError

REPORT = "report.csv"


class Status(StrEnum):
    """Result of a download: present, failed and retried by the next run, or gone for good."""

    OK = "ok"
    FAILED = "failed"
    GONE = "gone"


@dataclass(frozen=True)
class Entry:
    """A row of the report. `file` is relative to its folder, empty where there is none; `time` is ISO 8601 in UTC."""

    recording: str
    split: str
    status: Status
    reason: str = ""
    file: str = ""
    time: str = field(default_factory=lambda: datetime.now(UTC).isoformat(" ", timespec="seconds"))


Entries = dict[tuple[str, str], Entry]
"""Rows by split and recording."""

_COLUMNS = [column.name for column in fields(Entry)]


def read_report(folder: Path) -> Entries:
    """Read the rows of a folder's report. Raises UserError where the file is not such a report."""
    path = folder / REPORT
    try:
        reader = csv.DictReader(path.read_text(encoding="utf-8").splitlines())
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {path}: {error}; move it elsewhere") from error
    if not {"recording", "split", "status"} <= set(reader.fieldnames or ()):
        raise UserError(f"{path} is not a report of downloads (columns {', '.join(_COLUMNS)}); move it elsewhere")
    entries: Entries = {}
    for row in reader:
        texts = {name: row.get(name) or "" for name in _COLUMNS}
        entry = Entry(status=_status(texts.pop("status")), **texts)
        entries[entry.split, entry.recording] = entry
    return entries


def _status(text: str) -> Status:
    """The status in a row; reports of earlier versions have other words for it."""
    known = {status.value: status for status in Status} | {"cached": Status.OK}
    return known.get(text, Status.FAILED)


def write_report(folder: Path, entries: Iterable[Entry]) -> None:
    """Replace the report of a folder. Raises UserError where that fails."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(entry) for entry in entries)
    atomic.write_text(folder / REPORT, text.getvalue())
