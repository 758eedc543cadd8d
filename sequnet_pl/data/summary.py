"""One table of what a store took in, what it skipped, and why."""

import shlex
from collections import Counter
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
    """Return recordings and hours of each split, and the first notes and skipped files, or all of them (None)."""
    numbers = (Column(name, justify="right") for name in ("recordings", "hours"))
    table = Table("split", *numbers, Column("notes", overflow="fold"), box=None)

    def add(lines: list[str]) -> None:
        for line in lines[:shown]:
            table.add_row("", "", "", Text(printable(line)))
        if shown is not None and len(lines) > shown:
            table.add_row("", "", "", f"and {len(lines) - shown} more")

    for name, recordings in report.recordings.items():
        hours = sum(r.length / r.rate for r in recordings) / 3600
        noted = [f"{r.source}: {description}" for r in recordings if (description := r.description())]
        table.add_row(name, str(len(recordings)), f"{hours:.3f}", f"with a note: {len(noted)}" if noted else "")
        add(noted)
    add(_low_rates(report))
    if report.skipped:
        table.add_row("skipped", str(len(report.skipped)), "", "")
        add([f"{entry.source}: {entry.reason}" for entry in report.skipped])
    return table


def _low_rates(report: Report) -> list[str]:
    """Return how many recordings have a lower sample rate than the store, and the rate that suits all of them."""
    found = {r.source: r for recordings in report.recordings.values() for r in recordings}.values()
    rates, lines = Counter(r.source_rate for r in found), list[str]()
    for rate, count in sorted(rates.items()):
        if rate:
            advice = f"; --sample_rate {rate}" if rate == max(rates) and not rates[0] else ""
            khz = rate / 1000
            lines.append(f"{khz:g} kHz: nothing above {khz / 2:g} kHz to learn, in {count} of {len(found)}{advice}")
    return lines


def show(report: Report, store: Path) -> None:
    """Print the summary where something changed or was skipped; one with all that was skipped lies beside the store."""
    page = StringIO()
    Console(file=page, width=200).print(summary(report, None))
    text, path = page.getvalue(), store.with_name(f"{store.name}.txt")
    with suppress(UserError):  # of a store on a disk that cannot be written; the command below shows the same
        if not path.is_file() or path.read_text(encoding="utf-8", errors="replace") != text:
            atomic.write_text(path, text)
    if report.is_changed or report.skipped:
        console = Console(stderr=True)
        console.print(summary(report))
        command = f"each of them: python -m sequnet_pl.data.store list {shlex.quote(str(store))}"
        console.print(Text(printable(command)), soft_wrap=True)
