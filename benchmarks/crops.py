"""How fast crops come from a store, in memory and from disk: `python -m benchmarks.crops`.

A store of random codes is made in a temporary folder. Batches of training crops are gathered from it in this process,
and delivered by a loader with one worker; both with the store in memory (read once before) and after the system was
asked to forget it (posix_fadvise). Beside them, in the same run, a plain copy of as many bytes as a batch has.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Column, Table

from sequnet_pl import atomic
from sequnet_pl.data.crops import Crops, Plan, training_plan
from sequnet_pl.data.loader import CropLoader, Shard
from sequnet_pl.data.store import Recording, Split

CROP = 36_858
OUTPUTS = 5_000
HOP = 40_000
STEP_SECONDS = 0.020
GOAL_SHARE = 0.01
GOAL_BATCHES = 10 / STEP_SECONDS
_RECORDING = 16_000 * 7_900  # 2.2 hours, as in the published data set
_BLOCK = 1 << 25


def make_split(folder: Path, gigabytes: float) -> Split:
    """A split of random codes on disk."""
    length, path = round(gigabytes * 1e9), folder / "train.0.codes"
    random = np.random.default_rng(0)
    with path.open("wb") as file:
        for start in range(0, length, _BLOCK):
            file.write(random.bytes(min(_BLOCK, length - start)))
        file.flush()
        os.fsync(file.fileno())  # what is not on disk yet cannot be forgotten
    starts = range(0, length, _RECORDING)
    recordings = tuple(
        Recording(f"{start}.wav", start, min(_RECORDING, length - start), 16_000, "", "", 1.0, 0.0, 0.0, 0, 0)
        for start in starts
    )
    return Split(path, length, recordings)


def warm(split: Split) -> None:
    """Read all of it, so that as much of it as there is room for is in memory."""
    with split.path.open("rb") as file:
        while file.read(_BLOCK):
            pass


def forget(split: Split) -> None:
    """Have the system drop it from memory; nobody may have it mapped."""
    with split.path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def fresh(split: Split) -> Split:
    """The same split, not yet opened."""
    return Split(split.path, split.length, split.recordings)


def gather(split: Split, batch_size: int, batches: int, epoch: int) -> list[float]:
    """Seconds that each of so many batches takes to gather in this process."""
    crops = Crops(fresh(split), CROP - 1, OUTPUTS)
    plan = training_plan(split.lengths, OUTPUTS, HOP, 0, epoch)
    crops.split.codes  # noqa: B018  opening is not counted
    seconds = []
    for first in range(0, min(batches * batch_size, len(plan) - batch_size + 1), batch_size):
        start = time.perf_counter()
        crops.__getitems__(plan[first : first + batch_size])
        seconds.append(time.perf_counter() - start)
    return seconds


def copy(split: Split, batch_size: int, batches: int, epoch: int) -> list[float]:
    """Seconds to copy the bytes of a batch that lie in one piece, in memory, to new memory."""
    source = np.random.default_rng(epoch).integers(0, 256, (batch_size, CROP), np.uint8)
    seconds = []
    for _ in range(batches):
        start = time.perf_counter()
        source.copy()
        seconds.append(time.perf_counter() - start)
    return seconds


def deliver(split: Split, batch_size: int, batches: int, epoch: int) -> list[float]:
    """Seconds between batches from a loader with one worker, after its first."""

    def plan(_: int) -> Plan:
        return training_plan(split.lengths, OUTPUTS, HOP, 0, epoch)

    crops = Crops(fresh(split), CROP - 1, OUTPUTS)
    loader = CropLoader(crops, Shard(plan, batch_size, 0, 1), 1, pin_memory=torch.cuda.is_available())
    iterator = iter(loader)
    next(iterator)
    before = time.perf_counter()
    seconds = []
    for _ in islice(iterator, batches):
        now = time.perf_counter()
        seconds.append(now - before)
        before = now
    return seconds


Measure = Callable[[Split, int, int, int], list[float]]


def main() -> None:
    """Measure, print a table and write it as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.crops", description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=4.0, help="size of the store [%(default)s]")
    parser.add_argument("--batch_size", type=int, default=16)
    parser.add_argument("--batches", type=int, default=1000, help="batches measured each time [%(default)s]")
    parser.add_argument("--repeats", type=int, default=3, help="times that all is measured; the quickest counts")
    parser.add_argument("--folder", type=Path, help="where the store is made and removed; the system's temporary one")
    parser.add_argument("--json", type=Path, default=Path("generated/benchmarks/crops.json"), help="for the figures")
    options = parser.parse_args()
    rows: dict[str, dict[str, float]] = {}
    if options.folder:
        atomic.make_folder(options.folder)
    with tempfile.TemporaryDirectory(dir=options.folder) as scratch:
        split = make_split(Path(scratch), options.gigabytes)
        measures: dict[str, tuple[Measure, Callable[[Split], None]]] = {
            "a plain copy": (copy, warm),
            "gathered, from memory": (gather, warm),
            "gathered, from disk": (gather, forget),
            "from one worker, from memory": (deliver, warm),
            "from one worker, from disk": (deliver, forget),
        }
        for repeat in range(options.repeats):
            for name, (measure, prepare) in measures.items():
                prepare(split)
                row = figures(measure(split, options.batch_size, options.batches, repeat), options.batch_size)
                rows[name] = max(rows.get(name, row), row, key=lambda row: row["batches_a_second"])
    show(rows, options.batch_size)
    pinned, threads = torch.cuda.is_available(), torch.get_num_threads()
    settings = {"gigabytes": options.gigabytes, "crop": CROP, "batch_size": options.batch_size, "pinned": pinned}
    content = settings | {"cores": os.cpu_count(), "threads": threads, "rows": rows}
    atomic.write_text(options.json, json.dumps(content, indent=1) + "\n")


def figures(seconds: list[float], batch_size: int) -> dict[str, float]:
    """What is told of the times of batches; rates are of all of them together."""
    rate = len(seconds) / sum(seconds)
    median = statistics.median(seconds)
    return {
        "median_ms": median * 1e3,
        "step_share": median / STEP_SECONDS,
        "batches_a_second": rate,
        "crops_a_second": rate * batch_size,
    }


def show(rows: dict[str, dict[str, float]], batch_size: int) -> None:
    """Print the table, and the goals under it."""
    columns = ("ms a batch (median)", f"of a {STEP_SECONDS * 1e3:.0f} ms step", "batches a second", "crops a second")
    table = Table(f"{batch_size} crops of {CROP:,} codes", *(Column(name, justify="right") for name in columns))
    for name, row in rows.items():
        rates = (f"{row[key]:,.0f}" for key in ("batches_a_second", "crops_a_second"))
        table.add_row(name, f"{row['median_ms']:.3f}", f"{row['step_share']:.2%}", *rates)
    console = Console()
    console.print(table)
    console.print(
        f"goals: gathering a batch takes under {GOAL_SHARE:.0%} of a step, "
        f"one worker delivers {GOAL_BATCHES:.0f} batches a second"
    )


if __name__ == "__main__":
    main()
