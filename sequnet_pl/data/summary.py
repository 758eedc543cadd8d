"""A table of what a store holds, what was skipped, and why."""

import shlex
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from sequnet_pl.data.store import Report
from sequnet_pl.printing import printable

_SHOWN = 10


def summary(report: Report) -> Table:
    """Return recordings and hours of each split, and the first notes and skipped files."""
    numbers = (Column(name, justify="right") for name in ("recordings", "hours"))
    table = Table("split", *numbers, Column("notes", overflow="fold"), box=None)

    def add(lines: list[str]) -> None:
        for line in lines[:_SHOWN]:
            table.add_row("", "", "", Text(printable(line)))
        if len(lines) > _SHOWN:
            table.add_row("", "", "", f"and {len(lines) - _SHOWN} more")

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
    """Return how many recordings have a lower sample rate than the store."""
    found = {r.source: r.source_rate for recordings in report.recordings.values() for r in recordings}
    rates = sorted(Counter(rate for rate in found.values() if rate).items())
    text = "{:g} kHz: nothing above {:g} kHz to learn, in {} of {}"
    return [text.format(rate / 1000, rate / 2000, count, len(found)) for rate, count in rates]


def show(report: Report, store: Path) -> None:
    """Print the summary where something changed or was skipped."""
    if report.is_changed or report.skipped:
        console = Console(stderr=True)
        console.print(summary(report))
        command = f"each of them: python -m sequnet_pl.data.store list {shlex.quote(str(store))}"
        console.print(Text(printable(command)), soft_wrap=True)
