"""Speed and memory of training steps: `python -m benchmarks.training --help`.

A step is forward, loss, backward and Adam on random codes. Every variant (network, batch, precision, option) has a
process of its own, so that its peak memory is its own. On a CPU the variants of one network, batch and output size run
in alternation, on a GPU one after the other. Times are medians, and the ratio to the published code in the same
precision is the median of the ratios of each round.
"""

import argparse
import contextlib
import functools
import statistics
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import multiprocessing
from torch.nn import functional as F
from torch.utils.benchmark import Timer

from benchmarks.common import PeakMemory, add_options, show
from benchmarks.published import published_network
from benchmarks.sampling import NETWORKS
from sequnet_pl.cli.main import exit_main
from sequnet_pl.data.crops import Batch
from sequnet_pl.errors import UserError
from sequnet_pl.models.precision import float32_products
from sequnet_pl.training.compilation import BACKEND, compiled_loss_sum, loss_sum
from sequnet_pl.training.optimization import Optimization

OPTIONS = ("plain", "checkpointing", "compile")
PRECISIONS = ("float32", "bf16-mixed")
FIRST_STEPS = 5  # memory of a CPU grows for some steps, until the gaps in it are of use


@dataclass
class Row:
    """A training and its figures; an `error` instead where it could not be measured."""

    network: str
    variant: str  # "published" or one of OPTIONS
    precision: str
    output_size: int
    batch: int
    seconds: float | None = None  # of a step
    predicted_per_second: float | None = None
    peak_memory_mb: float | None = None
    time_of_published: float | None = None  # as a share of that of the published code in the same precision
    memory_of_published: float | None = None
    error: str = ""


def step_of(row: Row, reference: Path | None, device: torch.device) -> tuple[Callable[[], None], int]:
    """Return a function that makes one step, and the number of samples that it predicts of each crop.

    `reference` is a copy of the repository of the published code, which is trained if it is given.
    """
    torch.manual_seed(0)
    network = NETWORKS[row.network]()
    inputs, outputs = network.window(row.output_size)
    codes = torch.randint(256, (row.batch, inputs + 1), dtype=torch.uint8).to(device)
    autocast = functools.partial(torch.autocast, device.type, torch.bfloat16, enabled=row.precision == "bf16-mixed")
    if reference:
        targets = codes[:, -outputs:].long().flatten()
        model = published_network(reference, network, row.output_size).to(device)
        one_hot = F.one_hot(codes[:, :-1].long(), 256).transpose(1, 2).float().contiguous()  # as its loader gives them
        adam = torch.optim.Adam(model.parameters(), lr=5e-4)

        def published_step() -> None:
            with autocast():
                loss = F.cross_entropy(model(one_hot).transpose(1, 2).contiguous().view(-1, 256), targets)
            adam.zero_grad()
            loss.backward()
            adam.step()

        return published_step, outputs

    network.to(device).checkpoint_activations = row.variant == "checkpointing"
    loss_of = compiled_loss_sum(BACKEND) if row.variant == "compile" else loss_sum
    optimizer = Optimization(5e-4, 1e-8, 0.999, 0.0, 0.0, False).optimizer(network, 5e-4)
    counts = torch.full((row.batch,), outputs, device=device)
    batch = Batch(codes, counts, counts, counts)

    def step() -> None:
        with autocast():
            total = loss_of(network, batch, None)
        (total / (row.batch * outputs)).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step, outputs


def prepare(row: Row, reference: Path | None, kind: str, threads: int) -> tuple[int, float, float]:
    """Make the first steps of a row in this process: targets of a crop, seconds of a step, and peak megabytes."""
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    if not reference:  # the published code runs with PyTorch's own settings: convolutions in TF32
        _settings.enter_context(float32_products(tf32=True))
    device = torch.device(kind)
    with PeakMemory(device) as memory:
        step, outputs = step_of(row, reference, device)
        _timers.append(Timer("step()", globals={"step": step}, num_threads=threads))
        repeat(FIRST_STEPS)
        seconds = repeat(1)
    return outputs, seconds, memory.megabytes


def repeat(steps: int) -> float:
    """Make more steps of the row that this process has prepared; seconds of one."""
    return _timers[-1].timeit(steps).mean


_settings, _timers = contextlib.ExitStack(), list[Timer]()


class Runner:
    """A row that is measured in a process of its own."""

    def __init__(self, row: Row, arguments: argparse.Namespace) -> None:
        self.row, self.repetitions = row, list[float]()
        # its processes are no daemons: Inductor starts no processes inside one, and compiles many times as long
        self.pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))
        reference = arguments.reference if row.variant == "published" else None
        first = self._run(prepare, row, reference, arguments.device, arguments.threads)
        row.output_size, seconds, row.peak_memory_mb = first or (row.output_size, 1.0, None)
        self._steps = max(1, round(arguments.seconds / seconds))

    def repeat(self) -> None:
        """Make some steps, unless an earlier one has failed."""
        if not self.row.error and (seconds := self._run(repeat, self._steps)):
            self.repetitions.append(seconds)

    def _run(self, work: Callable[..., Any], *arguments: object) -> Any:
        try:
            return self.pool.submit(work, *arguments).result()
        except BrokenProcessPool:
            raise UserError(f"the process of {self.row} ended") from None
        except (RuntimeError, MemoryError) as error:
            first_line = str(error).strip().partition("\n")[0]
            self.row.error = "out of memory" if "memory" in str(error) else first_line or type(error).__name__
            return None


def measure(rows: Sequence[Row], arguments: argparse.Namespace) -> None:
    """Fill in the rows, measured in alternation on a CPU, one after the other on a GPU.

    Rows of the published code come first: those after them in the same precision have ratios to them.
    """
    published: dict[str, Runner] = {}
    for group in [[row] for row in rows] if arguments.device == "cuda" else [rows]:
        runners = [Runner(row, arguments) for row in group]
        for _ in range(arguments.rounds):
            for runner in runners:
                runner.repeat()
        for runner in runners:
            runner.pool.shutdown()
            if not runner.row.error:
                if runner.row.variant == "published":
                    published[runner.row.precision] = runner
                _fill_in(runner, published.get(runner.row.precision))


def _fill_in(runner: Runner, published: Runner | None) -> None:
    row = runner.row
    row.seconds = statistics.median(runner.repetitions)
    row.predicted_per_second = row.batch * row.output_size / row.seconds
    if published and row.peak_memory_mb and published.row.peak_memory_mb:
        pairs = zip(runner.repetitions, published.repetitions, strict=True)
        row.time_of_published = statistics.median(seconds / other for seconds, other in pairs)
        row.memory_of_published = row.peak_memory_mb / published.row.peak_memory_mb


def main(argv: list[str]) -> None:
    """Measure, print the table, write it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training", description="Speed of training steps.")
    parser.add_argument("--networks", nargs="+", default=["sequnet", "wavenet"], choices=NETWORKS)
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 4], help="crops per batch")
    parser.add_argument("--output_sizes", nargs="+", type=int, default=[5000], help="predicted samples per crop")
    parser.add_argument("--precisions", nargs="+", default=list(PRECISIONS), choices=PRECISIONS)
    parser.add_argument("--options", nargs="+", default=["plain"], choices=OPTIONS)
    add_options(parser)
    arguments = parser.parse_args(argv)
    rows: list[Row] = []
    for network, outputs, batch in product(arguments.networks, arguments.output_sizes, arguments.batches):
        precisions = dict.fromkeys(["float32", *arguments.precisions]) if arguments.reference else []
        group = [Row(network, "published", precision, outputs, batch) for precision in precisions]
        for precision, option in product(arguments.precisions, arguments.options):
            group.append(Row(network, option, precision, outputs, batch))
        measure(group, arguments)
        rows += group
    show("Training", rows, arguments)


if __name__ == "__main__":
    exit_main("benchmarks.training", main, sys.argv[1:])
