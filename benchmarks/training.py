"""How fast and in how much memory networks learn: `python -m benchmarks.training --help`.

Every way (network, batch, precision, options) lives in processes of its own, so that its peak of memory is its own.
On a CPU, ways of one network, batch and output size take turns, so that a busy moment of the machine meets all of them;
times are medians of turns, and the ratio to the published code is the median of the ratios of each round. A GPU is each
way's alone while it makes all its turns; the published code comes first and last, and ratios are to the median of both.
"""

import argparse
import json
import statistics
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import multiprocessing

from benchmarks.sampling import NETWORKS
from benchmarks.steps import OPTIONS, TYPES, Runner, Way, matrix_rate
from sequnet_pl.atomic import write_text
from sequnet_pl.errors import UserError


@dataclass
class Row:
    """One line of the table."""

    network: str
    output_size: int
    batch: int
    precision: str
    way: str
    error: str = ""  # where the way could not be measured
    seconds: float = 0.0  # of a step
    predicted_per_second: float = 0.0  # samples
    peak_memory_mb: float = 0.0  # of a process: weights, Adam's moments, activations
    gflop: float = 0.0  # of a step of a process
    gflop_per_second: float = 0.0
    matrix_share: float = 0.0  # of the rate of large matrix products in the same type
    time_of_published: float | None = None
    memory_of_published: float | None = None


def measure(ways: list[Way], rates: dict[str, float], arguments: argparse.Namespace) -> list[Row]:
    """A row for each way; where the published code is measured it is the first, and on a GPU again the last."""
    if arguments.device == "cuda":
        runners = []
        for way in ways + [way for way in ways if way.reference]:
            runners.append(Runner(way, arguments))
            for _ in range(arguments.rounds):
                runners[-1].turn()
            runners[-1].end()
            print(_said(runners[-1]), flush=True)
        published = [turn for runner in runners if runner.way.reference for turn in runner.turns]
        ratios = [[turn / statistics.median(published) for turn in runner.turns if published] for runner in runners]
    else:
        runners = [Runner(way, arguments) for way in ways]
        for _ in range(arguments.rounds):
            for runner in runners:
                runner.turn()
        for runner in runners:
            runner.end()
        published = runners[0].turns if ways[0].reference else []
        ratios = [[turn / other for turn, other in zip(runner.turns, published, strict=False)] for runner in runners]
    rows = [_row(runner, rates) for runner in runners]
    for row, found in zip(rows, ratios, strict=True):
        if found:
            row.time_of_published = statistics.median(found)
            row.memory_of_published = row.peak_memory_mb / rows[0].peak_memory_mb
    return rows


def _said(runner: Runner) -> str:
    """A way as soon as it is measured."""
    way = runner.way
    found = runner.error or f"{statistics.median(runner.turns):.4f} s a step, {runner.first.peak_memory_mb:,.0f} MB"
    return f"{way.network} {way.batch} x {way.output_size}, {way.precision}, {way.name}: {found}"


def _row(runner: Runner, rates: dict[str, float]) -> Row:
    way = runner.way
    row = Row(way.network, way.output_size, way.batch, way.precision, way.name, runner.error)
    if not runner.error:
        row.output_size, row.gflop, row.peak_memory_mb = (
            runner.first.outputs,
            runner.first.gflop,
            runner.first.peak_memory_mb,
        )
        row.seconds = statistics.median(runner.turns)
        row.predicted_per_second = way.processes * way.batch * row.output_size / row.seconds
        row.gflop_per_second = row.gflop / row.seconds
        row.matrix_share = row.gflop_per_second * way.processes / rates[way.precision]
    return row


def table(rows: list[Row]) -> Table:
    """The rows for people."""
    result = Table(title="Training")
    for header in ("network", "way", "precision"):
        result.add_column(header)
    headers = ("outputs", "batch", "s/step", "predicted/s", "peak MB", "GFLOP/s", "of matrix product")
    for header in (*headers, "time of published", "memory of published"):
        result.add_column(header, justify="right")
    for row in rows:
        heading = (row.network, row.way, row.precision, f"{row.output_size:,}", str(row.batch))
        if row.error:
            result.add_row(*heading, row.error)
            continue
        result.add_row(
            *heading,
            f"{row.seconds:.3f}",
            f"{row.predicted_per_second:,.0f}",
            f"{row.peak_memory_mb:,.0f}",
            f"{row.gflop_per_second:,.0f}",
            f"{row.matrix_share:.0%}",
            "" if row.time_of_published is None else f"{row.time_of_published:.2f}",
            "" if row.memory_of_published is None else f"{row.memory_of_published:.2f}",
        )
    return result


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training", description="How fast networks learn.")
    parser.add_argument("--networks", nargs="+", default=["sequnet", "wavenet"], choices=NETWORKS)
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 4], help="crops of a process")
    parser.add_argument("--output_sizes", nargs="+", type=int, default=[5000], help="predicted samples of a crop")
    parser.add_argument("--precisions", nargs="+", default=list(TYPES), choices=TYPES)
    parser.add_argument("--options", nargs="+", default=["plain"], choices=OPTIONS)
    parser.add_argument("--processes", nargs="+", type=int, default=[1], help="processes that share the threads")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads of all processes")
    parser.add_argument("--reference", type=Path, help="folder of a copy of github f90/Seq-U-Net to compare with")
    parser.add_argument("--seconds", type=float, default=1.0, help="length of a turn, a step at least")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each way")
    parser.add_argument("--json", type=Path, help="file to write the rows to")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Measure, print the table, write it."""
    arguments = parse(argv)
    torch.set_num_threads(arguments.threads)
    device = torch.device(arguments.device)
    with multiprocessing.get_context("spawn").Pool(1) as pool:  # a GPU is not to be held by this process
        rates = {name: pool.apply(matrix_rate, (TYPES[name], device)) for name in TYPES}
    rows: list[Row] = []
    for network, outputs, batch in product(arguments.networks, arguments.output_sizes, arguments.batches):
        ways = [Way(network, outputs, batch, "float32", "plain", 1, arguments.reference)] if arguments.reference else []
        for chosen in product(arguments.precisions, arguments.options, arguments.processes):
            ways.append(Way(network, outputs, batch, *chosen, reference=None))
        rows += measure(ways, rates, arguments)
    console = Console()
    console.width = max(console.width, 170)  # a file or a pipe counts as 80 columns wide
    console.print(table(rows))
    said = ", ".join(f"{name} {rate:,.0f} GFLOP/s" for name, rate in rates.items())
    console.print(f"matrix products of 2048: {said}")
    if arguments.json:
        name = torch.cuda.get_device_name() if device.type == "cuda" else "cpu"
        heading = {"device": name, "threads": arguments.threads, "torch": torch.__version__, "matrix_gflops": rates}
        write_text(arguments.json, json.dumps(heading | {"rows": [asdict(row) for row in rows]}, indent=2) + "\n")


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        raise SystemExit(f"error: {error}") from error
