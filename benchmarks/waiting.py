"""What threads that wait for each other cost: `python -m benchmarks.waiting --help`.

A Seq-U-Net, the demo's unless another is named, trains, and samples as sample.py does, with one thread and with
several, which wait as the project has them wait or spin for long as OpenMP does by itself; on a machine with nothing
else to do and beside busy processes. Every way lives in a process of its own, since OpenMP asks once how to wait. Ways
take turns; times are medians.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
import yaml
from rich.console import Console
from rich.table import Table
from sequnet_pl.cli.arguments import CONFIGS

from benchmarks.steps import timed
from sequnet_pl.atomic import write_text
from sequnet_pl.sampling.draw import Drawing
from sequnet_pl.sampling.engines import engine_for
from sequnet_pl.sampling.generate import start
from sequnet_pl.training.metrics import nats
from sequnet_pl.training.module import SeqUNetModule

SPINNING = {"GOMP_SPINCOUNT": "300000", "KMP_BLOCKTIME": "200"}  # what OpenMP does by itself
SAMPLES = 4000  # of a stretch of sampling
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Way:
    """How many threads compute, and whether they spin while they wait."""

    threads: int
    spins: bool

    @property
    def name(self) -> str:
        """For the table."""
        return "one thread" if self.threads == 1 else f"{self.threads} threads" + ", spinning" * self.spins


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    what: str
    way: str
    busy: int  # processes that compute beside it
    seconds: float  # a step, or a second of sound
    times_one_thread: float  # alone, on a machine with nothing else to do


def works(arguments: argparse.Namespace) -> dict[str, Callable[[], object]]:
    """A training step of a config's network, and a stretch of sampling with it."""
    settings = yaml.safe_load(arguments.config.read_text(encoding="utf-8"))
    shape, data = settings["model"]["init_args"], settings["data"]
    torch.manual_seed(0)
    network = SeqUNetModule(**shape).network
    inputs, outputs = network.window(arguments.output_size or data["output_size"])
    codes = torch.randint(256, (arguments.batch_size or data["batch_size"], inputs + 1), dtype=torch.uint8)
    adam = torch.optim.Adam(network.parameters(), lr=shape["lr"])

    def train() -> None:
        nats(network(codes[:, :-1]), codes[:, -outputs:].long()).mean().backward()
        adam.step()
        adam.zero_grad()

    engine, session = engine_for(network), start(network, None, 1)
    return {
        "a training step": train,
        "sampling": lambda: engine.draw_block(session, torch.rand(1, SAMPLES, dtype=torch.float64), Drawing()),
    }


def serve(threads: int, arguments: argparse.Namespace, connection: Connection) -> None:
    """The life of one process: do what is asked for so many times, and tell how long it took."""
    torch.set_num_threads(threads)
    found = works(arguments)
    for work in found.values():
        timed(work, 2, CPU)
    connection.send(list(found))
    while asked := connection.recv():
        what, count = asked
        connection.send(timed(found[what], count, CPU))


def started(way: Way, arguments: argparse.Namespace) -> Any:
    """The process of a way, once it is ready."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    with patch.dict(os.environ, SPINNING if way.spins else {}):
        context.Process(target=serve, args=(way.threads, arguments, there), daemon=True).start()
    there.close()
    return here


@contextmanager
def busy(count: int) -> Iterator[None]:
    """So many processes that always compute."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()


def measure(ways: list[Way], arguments: argparse.Namespace) -> Iterator[Row]:
    """A row for each way, work and number of busy processes; the first way is one thread."""
    connections = [started(way, arguments) for way in ways]
    names, *_ = [connection.recv() for connection in connections]
    seconds: dict[tuple[str, int, int], list[float]] = {}
    for _ in range(arguments.rounds):
        for beside in (0, *arguments.busy):
            with busy(beside):
                for what in names:
                    for index, connection in enumerate(connections):
                        connection.send((what, arguments.steps))
                        seconds.setdefault((what, beside, index), []).append(connection.recv())
    for connection in connections:
        connection.send(None)
    for (what, beside, index), found in seconds.items():
        middle, alone = statistics.median(found), statistics.median(seconds[what, 0, 0])
        yield Row(what, ways[index].name, beside, middle, middle / alone)


def table(rows: list[Row]) -> Table:
    """The rows for people."""
    result = Table("what", "busy processes", "way", title="Waiting")
    for header in ("ms", "times one thread alone"):
        result.add_column(header, justify="right")
    for row in rows:
        result.add_row(row.what, str(row.busy), row.way, f"{1000 * row.seconds:.1f}", f"{row.times_one_thread:.2f}")
    return result


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.waiting", description="What waiting threads cost.")
    parser.add_argument("--config", type=Path, default=CONFIGS / "demo.yaml", help="of a Seq-U-Net")
    parser.add_argument("--batch_size", type=int, help="crops of a step; the config's without it")
    parser.add_argument("--output_size", type=int, help="targets of a crop; the config's without it")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads")
    parser.add_argument("--busy", nargs="+", type=int, default=[1], help="processes that compute beside it")
    parser.add_argument("--steps", type=int, default=3, help="of a turn")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each way")
    parser.add_argument("--json", help="file to write the rows to")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Measure, print the table, write it."""
    arguments = parse(argv)
    ways = [Way(1, spins=False), Way(arguments.threads, spins=True), Way(arguments.threads, spins=False)]
    rows = list(measure(ways, arguments))
    console = Console()
    console.width = max(console.width, 100)  # a file or a pipe counts as 80 columns wide
    console.print(table(rows))
    if arguments.json:
        heading = {"threads": arguments.threads, "torch": torch.__version__}
        write_text(Path(arguments.json), json.dumps(heading | {"rows": [asdict(row) for row in rows]}, indent=2) + "\n")


if __name__ == "__main__":
    main()
