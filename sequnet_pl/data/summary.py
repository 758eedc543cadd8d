"""A table of what a store contains and how many files were skipped; the log and `list` have the reasons."""

import shlex
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from sequnet_pl.data.store import Report
from sequnet_pl.printing import printable


def show(report: Report, store: Path) -> None:
    """Print recordings, hours and notes of each split, and the sample rates below the model's."""
    numbers = (Column(name, justify="right") for name in ("recordings", "hours", "with a note"))
    table = Table("split", *numbers, box=None)
    for name, recordings in report.recordings.items():
        hours = sum(r.length / r.rate for r in recordings) / 3600
        table.add_row(name, str(len(recordings)), f"{hours:.3f}", str(sum(bool(r.description()) for r in recordings)))
    if report.skipped:
        table.add_row("skipped", str(len(report.skipped)))
    console = Console(stderr=True)
    console.print(table)
    found = {r.source: r.source_rate for recordings in report.recordings.values() for r in recordings}
    for rate, count in sorted(Counter(rate for rate in found.values() if rate).items()):
        line = f"{rate / 1000:g} kHz: nothing above {rate / 2000:g} kHz to learn, in {count} of {len(found)}"
        console.print(line, highlight=False, soft_wrap=True)
    command = f"each recording: python -m sequnet_pl.data.store list {shlex.quote(str(store))}"
    console.print(Text(printable(command)), soft_wrap=True)
