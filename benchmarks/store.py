"""Time and memory of storing recordings: `python -m benchmarks.store --audio FILE [FILE ...]`.

Each file is stored by a process of its own, which decodes, mixes to mono, resamples, encodes as mu-law and writes the
index. With `--other CHECKOUT PYTHON` another version of this project stores the same files in alternation; the ratio
of processor times is the median of the ratios of each repetition. Processor time is that of the process and of all
that it started; memory is the peak of the largest that it started. (Its own begins with that of this process.)
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.common import add_json, show

RATE = 16_000
_STORE = """
import resource
import sys
from pathlib import Path
from sequnet_pl.data.store import make_store
if __name__ == "__main__":
    folder, rate, file = sys.argv[1:]
    report = make_store({"train": [Path(file)]}, Path(folder), workers=1, progress=False)
    hours = sum(recording.length for recording in report.recordings["train"]) / int(rate) / 3600
    print(hours, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
_HERE = Path(__file__).parents[1]


@dataclass
class Row:
    """Figures of one file; medians of the repetitions."""

    file: str
    hours: float
    wall_seconds: float
    processor_seconds: float
    hours_a_minute: float
    peak_mb: float
    processor_time_of_other: float | None


def store(file: Path, checkout: Path, python: str) -> tuple[float, float, float, float]:
    """Store a file with a checkout's code; return hours, wall seconds, processor seconds and peak megabytes."""
    environment = os.environ | {"PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "store.py")
        script.write_text(_STORE)
        command = [python, str(script), str(Path(folder, "store")), str(RATE), str(file)]
        began = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
    if status:
        raise SystemExit(f"storing {file} with {checkout} failed")
    hours, peak = map(float, output.split()[-2:])
    peak_bytes = peak * (1 if sys.platform == "darwin" else 1024)
    return hours, seconds, usage.ru_utime + usage.ru_stime, peak_bytes / 1e6


def measure(file: Path, options: argparse.Namespace) -> Row:
    """Store a file in alternation with the other checkout, if there is one."""
    turns, ratios = [], []
    for _ in range(options.repeats):
        turns.append(store(file, _HERE, sys.executable))
        if options.other:
            checkout, python = options.other
            other = store(file, Path(checkout).absolute(), python)
            ratios.append(turns[-1][2] / other[2])
    hours, wall, processor, peak = (statistics.median(figures) for figures in zip(*turns, strict=True))
    ratio = statistics.median(ratios) if ratios else None
    return Row(file.name, hours, wall, processor, 60 * hours / wall, peak, ratio)


def main(argv: list[str] | None = None) -> None:
    """Measure, print the table, write it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.store", description="Time and memory of storing.")
    parser.add_argument("--audio", type=Path, nargs="+", required=True, help="long recordings")
    parser.add_argument("--repeats", type=int, default=5, help="repetitions")
    parser.add_argument("--other", nargs=2, metavar=("CHECKOUT", "PYTHON"), help="another version and its Python")
    add_json(parser)
    options = parser.parse_args(argv)
    show("Storing", [measure(file.absolute(), options) for file in options.audio], options)


if __name__ == "__main__":
    main()
