"""Time and memory of storing recordings: `python -m benchmarks.store --audio FILE [FILE ...]`.

Each file is stored by a process of its own, which decodes, mixes to mono, resamples, encodes as mu-law and writes the
index. Processor time is that of the process and of all that it started; memory is the peak of the largest of them.
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
import sys
from pathlib import Path
from sequnet_pl.data.store import make_store
if __name__ == "__main__":
    folder, rate, file = sys.argv[1:]
    report = make_store({"train": [Path(file)]}, Path(folder), workers=1)
    print(sum(recording.length for recording in report.recordings["train"]) / int(rate) / 3600)
"""
_ROOT = Path(__file__).parents[1]


@dataclass
class Row:
    """Figures of one file; medians of the repetitions."""

    file: str
    hours: float
    wall_seconds: float
    processor_seconds: float
    hours_a_minute: float
    peak_mb: float


def store(file: Path) -> tuple[float, float, float, float]:
    """Store a file; return hours, wall seconds, processor seconds and peak megabytes."""
    environment = os.environ | {"PYTHONPATH": str(_ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "store.py")
        script.write_text(_STORE)
        command = [sys.executable, str(script), str(Path(folder, "store")), str(RATE), str(file)]
        began = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
    if status:
        raise SystemExit(f"storing {file} failed")
    peak_bytes = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return float(output.split()[-1]), seconds, usage.ru_utime + usage.ru_stime, peak_bytes / 1e6


def measure(file: Path, repeats: int) -> Row:
    """Store a file some times."""
    repetitions = [store(file) for _ in range(repeats)]
    hours, wall, processor, peak = (statistics.median(figures) for figures in zip(*repetitions, strict=True))
    return Row(file.name, hours, wall, processor, 60 * hours / wall, peak)


def main(argv: list[str] | None = None) -> None:
    """Measure, print the table, write it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.store", description="Time and memory of storing.")
    parser.add_argument("--audio", type=Path, nargs="+", required=True, help="long recordings")
    parser.add_argument("--repeats", type=int, default=5, help="repetitions")
    add_json(parser)
    options = parser.parse_args(argv)
    show("Storing", [measure(file.absolute(), options.repeats) for file in options.audio], options)


if __name__ == "__main__":
    main()
