"""Common parts of the benchmarks: their options, rows of figures as a table and as JSON, and peak memory."""

import argparse
import contextlib
import ctypes
import gc
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import torch
from rich.console import Console
from rich.table import Table

from sequnet_pl.atomic import write_text


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of benchmarks that time networks in alternation."""
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads")
    parser.add_argument("--reference", type=Path, help="folder of a copy of f90/Seq-U-Net from GitHub to compare with")
    parser.add_argument("--seconds", type=float, default=1.0, help="length of a repetition, at least one step")
    parser.add_argument("--rounds", type=int, default=5, help="number of repetitions")
    add_json(parser)


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add the option of all benchmarks."""
    parser.add_argument("--json", type=Path, help="file to write the rows to")


def show(title: str, rows: Sequence[Any], arguments: argparse.Namespace) -> None:
    """Print dataclass objects as a table, and write them and the arguments to the file that these name.

    A field without a value in any row has no column. Raises UserError if the file cannot be written.
    """
    values = [asdict(row) for row in rows]
    names = [name for name in values[0] if any(row[name] for row in values)]
    table = Table(title=title)
    for name in names:
        table.add_column(name.replace("_", " "), justify="left" if isinstance(values[0][name], str) else "right")
    for row in values:
        table.add_row(*(_text(row[name]) for name in names))
    console = Console()
    console.width = max(console.width, 150)  # a file or a pipe counts as 80 columns wide
    console.print(table)
    if arguments.json:
        heading = {"gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None, **vars(arguments)}
        content = {"torch": torch.__version__, **heading, "rows": values}
        write_text(arguments.json, json.dumps(content, indent=2, default=str) + "\n")


def _text(value: object) -> str:
    """A number with three significant digits, and all digits of its whole part; an empty text for None and False."""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{value:,}" if type(value) is int else str(value or "")


class PeakMemory:
    """Measures what the body of a `with` adds to the memory of the process (on Linux), or of a GPU, at its peak."""

    megabytes = 0.0

    def __init__(self, device: torch.device) -> None:
        self._gpu = device if device.type == "cuda" else None

    def __enter__(self) -> Self:
        gc.collect()
        if self._gpu:
            torch.cuda.init()  # before which there are no statistics to reset
            torch.cuda.reset_peak_memory_stats(self._gpu)
            self._before = torch.cuda.memory_allocated(self._gpu) / 1e6
        else:
            with contextlib.suppress(AttributeError, OSError):
                ctypes.CDLL(None).malloc_trim(0)  # glibc: what was freed goes back, else it would hide what is new
            with contextlib.suppress(OSError):
                Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from now
            self._before = self._peak()
        return self

    def __exit__(self, *_: object) -> None:
        self.megabytes = self._peak() - self._before

    def _peak(self) -> float:
        if self._gpu:
            return torch.cuda.max_memory_allocated(self._gpu) / 1e6
        try:
            lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        except OSError:
            return 0.0  # another system
        return int(lines["VmHWM"].split()[0]) / 1e3
