"""Time and memory of storing recordings: `python -m benchmarks.store --audio FILE [FILE ...]`.

Each file is stored by a process of its own, which decodes, mixes to mono, resamples, encodes as mu-law and writes the
index. Processor time and peak memory are those of that process.
"""

import argparse
import json
import resource
import statistics
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

from rich.console import Console
from rich.table import Table

from sequnet_pl import atomic
from sequnet_pl.data.store import make_store

RATE = 16_000


@dataclass
class Row:
    """Figures of one file; medians of the repeats."""

    file: str
    hours: float
    wall_seconds: float
    processor_seconds: float
    peak_mb: float


def store(file: Path) -> tuple[float, float, float, float]:
    """Store a file in this process; return hours, wall seconds, processor seconds and peak megabytes."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        report = make_store({"train": [file]}, Path(folder, "store"), RATE, workers=1, progress=False)
    seconds, usage = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF)
    peak_bytes = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    hours = sum(recording.length for recording in report.recordings["train"]) / RATE / 3600
    return hours, seconds, usage.ru_utime + usage.ru_stime, peak_bytes / 1e6


def measure(file: Path, repeats: int) -> Row:
    """Store a file some times, each by a process of its own."""
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as pool:
        repetitions = [pool.submit(store, file).result() for _ in range(repeats)]
    return Row(file.name, *(statistics.median(figures) for figures in zip(*repetitions, strict=True)))


def main(argv: list[str] | None = None) -> None:
    """Measure, print the table, write it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.store", description="Time and memory of storing.")
    parser.add_argument("--audio", type=Path, nargs="+", required=True, help="recordings, long ones")
    parser.add_argument("--repeats", type=int, default=5, help="number of times that each is stored")
    parser.add_argument("--json", type=Path, help="file to write the rows to")
    options = parser.parse_args(argv)
    rows = [measure(file.absolute(), options.repeats) for file in options.audio]
    table = Table("file", "hours", "wall s", "processor s", "hours a minute", "peak MB")
    for row in rows:
        rate = row.hours / row.wall_seconds * 60
        figures = (f"{row.hours:.2f}", f"{row.wall_seconds:.1f}", f"{row.processor_seconds:.1f}", f"{rate:.1f}")
        table.add_row(row.file, *figures, f"{row.peak_mb:.0f}")
    Console().print(table)
    if options.json:
        atomic.write_text(options.json, json.dumps([asdict(row) for row in rows], indent=1) + "\n")


if __name__ == "__main__":
    main()
