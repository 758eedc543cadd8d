"""One table of what a store took in, what it skipped, and why."""

import shlex
from contextlib import suppress
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from sequnet_pl import atomic
from sequnet_pl.data.store import Report
from sequnet_pl.errors import UserError
from sequnet_pl.printing import printable

_SHOWN = 10


def summary(report: Report, skipped_shown: int = _SHOWN) -> Table:
    """Recordings and hours of each split, and the first of what was skipped, with the reason."""
    table = Table(
        "split",
        Column("recordings", justify="right"),
        Column("hours", justify="right"),
        Column("what to know", overflow="fold"),
    )
    for name, recordings in report.recordings.items():
        hours = sum(r.length / r.rate for r in recordings) / 3600
        noted = sum(bool(r.note) for r in recordings)
        table.add_row(name, str(len(recordings)), f"{hours:.3f}", f"with a note: {noted}" if noted else "")
    for number, entry in enumerate(report.skipped[:skipped_shown]):
        count = "" if number else str(len(report.skipped))
        table.add_row("" if number else "skipped", count, "", Text(printable(f"{entry.source}: {entry.reason}")))
    if (left := len(report.skipped) - skipped_shown) > 0:
        table.add_row("", "", "", f"and {left} more")
    return table


def tell(report: Report, store: Path) -> None:
    """Show the summary where something changed or was skipped; with all that was skipped it goes beside the store."""
    page = StringIO()
    Console(file=page, width=200).print(summary(report, len(report.skipped)))
    text, path = page.getvalue(), store.with_name(f"{store.name}.txt")
    with suppress(UserError):  # of a store on a disk that cannot be written; the command below says the same
        if not path.is_file() or path.read_text(encoding="utf-8", errors="replace") != text:
            atomic.write_text(path, text)
    if report.made or report.removed or report.skipped:
        console = Console(stderr=True)
        console.print(summary(report))
        console.print(
            Text(printable(f"each of them: python -m sequnet_pl.data.store list {shlex.quote(str(store))}")),
            soft_wrap=True,
        )
