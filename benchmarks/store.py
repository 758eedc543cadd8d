"""Hours of audio stored a minute, beside `librosa.load` doing the same work: `python -m benchmarks.store --audio FILE`.

The same work: decode, mix to mono, resample, encode as mu-law, write to disk. Ours also hashes the file, gathers the
levels, copies the codes into the map and writes the index. Each measurement runs in processes of its own, on as many
copies of the file as there are processes; librosa's import is not counted, the start of our processes is. Memory is the
sum of the peaks of all processes of a measurement. What 600 hours would take is extrapolated.
"""

import argparse
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from sequnet_pl import atomic
from sequnet_pl.data.store import make_store

RATE = 16_000
_COLLECTION_HOURS = 600


def store_with_ours(paths: list[Path], folder: Path) -> tuple[float, float]:
    """Seconds taken and hours stored, with a process for each path."""
    start = time.perf_counter()
    report = make_store({"train": paths}, folder, RATE, workers=len(paths), progress=False)
    return time.perf_counter() - start, sum(r.length for r in report.recordings["train"]) / RATE / 3600


def store_with_librosa(paths: list[Path], folder: Path) -> tuple[float, float]:
    """The same with `librosa.load` in place of our reader."""
    tasks = [(path, folder / f"{number}.codes") for number, path in enumerate(paths)]
    if len(tasks) == 1:
        import librosa  # noqa: F401  the import is not counted

        start = time.perf_counter()
        samples = _load(tasks[0])
    else:
        with multiprocessing.get_context("spawn").Pool(len(tasks)) as pool:
            pool.map(_import_librosa, tasks, chunksize=1)
            start = time.perf_counter()
            samples = sum(pool.map(_load, tasks, chunksize=1))
            return time.perf_counter() - start, samples / RATE / 3600
    return time.perf_counter() - start, samples / RATE / 3600


def _import_librosa(_: object) -> None:
    import librosa  # noqa: F401

    time.sleep(0.5)  # so that each process takes one of these tasks


def _load(task: tuple[Path, Path]) -> int:
    import librosa

    from sequnet_pl.audio import mulaw

    samples, _ = librosa.load(task[0], sr=RATE, mono=True)
    with task[1].open("wb") as file:
        file.write(mulaw.encode(samples).tobytes())
    return len(samples)


WAYS = {"ours": store_with_ours, "librosa": store_with_librosa}


def measure(way: str, paths: list[Path], folder: Path) -> dict[str, float]:
    """Run one way in processes of its own, and watch the memory of all of them."""
    folder.mkdir()
    command = [sys.executable, "-m", "benchmarks.store", "--run", way, str(folder), "--audio", *map(str, paths)]
    # One thread each: the number of processes is what is compared.
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    peaks: dict[int, int] = {}
    while process.poll() is None:
        for pid in _family(process.pid):
            peaks[pid] = max(peaks.get(pid, 0), _peak(pid))
        time.sleep(0.02)
    assert process.stdout is not None
    if process.returncode:
        raise SystemExit(f"{way} stopped with status {process.returncode}")
    seconds, hours = json.loads(process.stdout.read())
    return {
        "seconds": seconds,
        "hours": hours,
        "hours_a_minute": hours / seconds * 60,
        "peak_MB": sum(peaks.values()) / 1e3,
    }


def _family(pid: int) -> list[int]:
    """A process and all that it started, directly or not."""
    try:
        children = [
            int(c) for task in Path(f"/proc/{pid}/task").iterdir() for c in (task / "children").read_text().split()
        ]
    except OSError:
        return []
    return [pid, *(member for child in children for member in _family(child))]


def _peak(pid: int) -> int:
    """Largest resident memory of a process so far, in kB; 0 where it has just ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return int(status.split("VmHWM:")[1].split()[0]) if "VmHWM:" in status else 0


def main() -> None:
    """Measure both ways with one process and with two, print a table and write it as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.store", description=__doc__)
    parser.add_argument("--audio", type=Path, nargs="+", required=True, help="a long recording (the first is measured)")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=1, help="measurements of each; the quickest counts")
    parser.add_argument(
        "--json", type=Path, default=Path("generated/benchmarks/store.json"), help="where the figures go"
    )
    parser.add_argument("--run", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        way, folder = options.run
        sys.stdout.write(json.dumps(WAYS[way](options.audio, Path(folder))))
        return
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as scratch:
        copies = [Path(scratch, f"{number}{options.audio[0].suffix}") for number in range(max(options.processes))]
        for number, copy in enumerate(copies):
            shutil.copy(options.audio[0], copy)
            with copy.open("ab") as file:
                file.write(bytes(number))  # or all would be one recording to us
        for count in options.processes:
            for way in WAYS:
                runs = [
                    measure(way, copies[:count], Path(scratch, f"{way}-{count}-{number}"))
                    for number in range(options.repeats)
                ]
                rows.append({"way": way, "processes": count, **min(runs, key=lambda run: run["seconds"])})
    _show(rows)
    result = {"audio": options.audio[0].name, "cores": os.cpu_count(), "rows": rows}
    atomic.write_text(options.json, json.dumps(result, indent=1) + "\n")


def _show(rows: list[dict[str, object]]) -> None:
    titles = (
        "",
        "processes",
        "seconds",
        "hours stored a minute",
        "peak MB",
        f"minutes for {_COLLECTION_HOURS} h (extrapolated)",
    )
    table = Table(*titles)
    for row in rows:
        rate = float(str(row["hours_a_minute"]))
        figures = [f"{row['seconds']:.1f}", f"{rate:.1f}", f"{row['peak_MB']:.0f}", f"{_COLLECTION_HOURS / rate:.0f}"]
        table.add_row(str(row["way"]), str(row["processes"]), *figures)
    console = Console()
    console.print(table)
    console.print(f"{_COLLECTION_HOURS} hours are {_COLLECTION_HOURS * 3600 * RATE / 1e9:.1f} GB of codes")


if __name__ == "__main__":
    main()
