"""Time and memory of storing recordings: `python -m benchmarks.store --audio FILE [FILE ...]`.

Each file is stored by a process of its own, which decodes, mixes to mono, resamples, encodes as mu-law and writes the
index. With `--other CHECKOUT PYTHON` another version of this project stores the same files in turns; the ratio of
processor times is the median of the ratios of each turn. Processor time is that of the process and of all that it
started; memory is the peak of the largest of them.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from sequnet_pl import atomic

RATE = 16_000
_STORE = """
import sys
from pathlib import Path
from sequnet_pl.data.store import make_store
if __name__ == "__main__":
    folder, rate, workers, *files = sys.argv[1:]
    report = make_store({"train": [Path(file) for file in files]}, Path(folder), workers=int(workers), progress=False)
    print(sum(recording.length for recording in report.recordings["train"]) / int(rate) / 3600)
"""
_HERE = Path(__file__).parents[1]


@dataclass
class Row:
    """Figures of one file; medians of the turns."""

    file: str
    hours: float = 0.0
    wall_seconds: float = 0.0
    processor_seconds: float = 0.0
    peak_mb: float = 0.0
    processor_time_of_other: float | None = None


def store(files: list[Path], workers: int, checkout: Path, python: str) -> tuple[float, float, float, float]:
    """Store files with a checkout's code; return hours, wall seconds, processor seconds and peak megabytes."""
    environment = os.environ | {"PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "store.py")
        script.write_text(_STORE)
        command = [python, str(script), str(Path(folder, "store")), str(RATE), str(workers), *map(str, files)]
        began = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
    if status:
        raise SystemExit(f"storing {files[0]} with {checkout} failed")
    peak_bytes = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return float(output.split()[-1]), seconds, usage.ru_utime + usage.ru_stime, peak_bytes / 1e6


def measure(file: Path, options: argparse.Namespace) -> Row:
    """Store a file in turns with the other checkout, if there is one."""
    turns, ratios = [], []
    for _ in range(options.repeats):
        turns.append(store([file], options.workers, _HERE, sys.executable))
        if options.other:
            checkout, python = options.other
            other = store([file], options.workers, Path(checkout).absolute(), python)
            ratios.append(turns[-1][2] / other[2])
    hours, wall, processor, peak = (statistics.median(figures) for figures in zip(*turns, strict=True))
    return Row(file.name, hours, wall, processor, peak, statistics.median(ratios) if ratios else None)


def main(argv: list[str] | None = None) -> None:
    """Measure, print the table, write it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.store", description="Time and memory of storing.")
    parser.add_argument("--audio", type=Path, nargs="+", required=True, help="recordings, long ones")
    parser.add_argument("--workers", type=int, default=1, help="processes that decode")
    parser.add_argument("--repeats", type=int, default=5, help="turns")
    parser.add_argument("--other", nargs=2, metavar=("CHECKOUT", "PYTHON"), help="another version, and its Python")
    parser.add_argument("--json", type=Path, help="file to write the rows to")
    options = parser.parse_args(argv)
    rows = [measure(file.absolute(), options) for file in options.audio]
    table = Table("file", "hours", "wall s", "processor s", "hours a minute", "peak MB", "processor time of other")
    for row in rows:
        rate = row.hours / row.wall_seconds * 60
        ratio = "" if row.processor_time_of_other is None else f"{row.processor_time_of_other:.2f}"
        figures = (f"{row.hours:.2f}", f"{row.wall_seconds:.1f}", f"{row.processor_seconds:.1f}", f"{rate:.1f}")
        table.add_row(row.file, *figures, f"{row.peak_mb:.0f}", ratio)
    Console().print(table)
    if options.json:
        atomic.write_text(options.json, json.dumps([asdict(row) for row in rows], indent=1) + "\n")


if __name__ == "__main__":
    main()
