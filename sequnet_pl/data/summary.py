"""One table of what a store took in, what it skipped, and why."""

import shlex
from collections import Counter
from collections.abc import Iterator
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


def summary(report: Report, shown: int | None = _SHOWN) -> Table:
    """Recordings and hours of each split, and the first notes and skipped files, or all of them (None)."""
    table = Table(
        "split",
        Column("recordings", justify="right"),
        Column("hours", justify="right"),
        Column("what to know", overflow="fold"),
        box=None,
    )
    for name, recordings in report.recordings.items():
        hours = sum(r.length / r.rate for r in recordings) / 3600
        noted = [f"{r.source}: {told}" for r in recordings if (told := r.told())]
        table.add_row(name, str(len(recordings)), f"{hours:.3f}", f"with a note: {len(noted)}" if noted else "")
        _add(table, noted, shown)
    for line in _low_rates(report):
        table.add_row("", "", "", line)
    if report.skipped:
        table.add_row("skipped", str(len(report.skipped)), "", "")
        _add(table, [f"{entry.source}: {entry.reason}" for entry in report.skipped], shown)
    return table


def _low_rates(report: Report) -> Iterator[str]:
    """How many recordings have a lower rate than they are converted to, and the rate that would do for all."""
    found = {r.source: r for recordings in report.recordings.values() for r in recordings}.values()
    rates = Counter(r.own_rate for r in found)
    for own_rate, count in sorted(rates.items()):
        if own_rate:
            khz = own_rate / 1000
            advice = f"; --sample_rate {own_rate}" if own_rate == max(rates) and not rates[0] else ""
            yield f"{khz:g} kHz: nothing above {khz / 2:g} kHz to learn, in {count} of {len(found)}{advice}"


def _add(table: Table, lines: list[str], shown: int | None) -> None:
    for line in lines[:shown]:
        table.add_row("", "", "", Text(printable(line)))
    if shown is not None and len(lines) > shown:
        table.add_row("", "", "", f"and {len(lines) - shown} more")


def tell(report: Report, store: Path) -> None:
    """Show the summary where something changed or was skipped; with all that was skipped it goes beside the store."""
    page = StringIO()
    Console(file=page, width=200).print(summary(report, None))
    text, path = page.getvalue(), store.with_name(f"{store.name}.txt")
    with suppress(UserError):  # of a store on a disk that cannot be written; the command below says the same
        if not path.is_file() or path.read_text(encoding="utf-8", errors="replace") != text:
            atomic.write_text(path, text)
    if report.made or report.removed or report.skipped or report.cut:
        console = Console(stderr=True)
        console.print(summary(report))
        console.print(
            Text(printable(f"each of them: python -m sequnet_pl.data.store list {shlex.quote(str(store))}")),
            soft_wrap=True,
        )
