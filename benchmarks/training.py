"""Speed and memory of training steps: `python -m benchmarks.training --help`.

A step is forward, loss, backward and Adam on random codes. Every variant (network, batch, precision, option) has a
process of its own, so that its peak memory is its own. On a CPU the variants of one network, batch and output size run
in turns, on a GPU one after the other. Times are medians, and the ratio to the published code in the same
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

from benchmarks.memory import PeakMemory
from benchmarks.published import published_network
from benchmarks.rows import add_options, show
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


@dataclass(frozen=True)
class Variant:
    """What is trained, and how; the published code where `reference`, a copy of its repository, is given."""

    network: str
    output_size: int
    batch: int
    precision: str
    option: str
    reference: Path | None


@dataclass
class Row:
    """Figures of a variant; an `error` instead where it could not be measured."""

    network: str
    variant: str
    precision: str
    output_size: int
    batch: int
    seconds: float | None = None  # of a step
    predicted_per_second: float | None = None
    peak_memory_mb: float | None = None
    time_of_published: float | None = None  # as a share of that of the published code in the same precision
    memory_of_published: float | None = None
    error: str = ""


def step_of(variant: Variant, device: torch.device) -> tuple[Callable[[], None], int]:
    """Return a function that makes one step, and the number of samples that it predicts of each crop."""
    torch.manual_seed(0)
    network = NETWORKS[variant.network]()
    inputs, outputs = network.window(variant.output_size)
    codes = torch.randint(256, (variant.batch, inputs + 1), dtype=torch.uint8).to(device)
    autocast = functools.partial(torch.autocast, device.type, torch.bfloat16, enabled=variant.precision == "bf16-mixed")
    if variant.reference:
        targets = codes[:, -outputs:].long().flatten()
        model = published_network(variant.reference, network, variant.output_size).to(device)
        one_hot = F.one_hot(codes[:, :-1].long(), 256).transpose(1, 2).float().contiguous()  # as its loader gives them
        adam = torch.optim.Adam(model.parameters(), lr=5e-4)

        def published_step() -> None:
            with autocast():
                loss = F.cross_entropy(model(one_hot).transpose(1, 2).contiguous().view(-1, 256), targets)
            adam.zero_grad()
            loss.backward()
            adam.step()

        return published_step, outputs

    network.to(device).checkpoint_activations = variant.option == "checkpointing"
    loss_of = compiled_loss_sum(BACKEND) if variant.option == "compile" else loss_sum
    optimizer = Optimization(5e-4, 1e-8, 0.999, 0.0, 0.0, False).optimizer(network, 5e-4)
    counts = torch.full((variant.batch,), outputs, device=device)
    batch = Batch(codes, counts, counts, counts)

    def step() -> None:
        with autocast():
            total = loss_of(network, batch, None)
        (total / (variant.batch * outputs)).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step, outputs


def prepare(variant: Variant, kind: str, threads: int) -> tuple[int, float, float]:
    """Make the first steps of a variant in this process: targets of a crop, seconds of a step, and peak megabytes."""
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    device = torch.device(kind)
    with PeakMemory(device) as memory, _products(variant):
        step, outputs = step_of(variant, device)
        timer = Timer("step()", globals={"step": step}, num_threads=threads)
        timer.timeit(FIRST_STEPS)
        seconds = timer.timeit(1).mean
    _timers[variant] = timer
    return outputs, seconds, memory.megabytes


def repeat(variant: Variant, steps: int) -> float:
    """Make more steps of a variant that this process has prepared; seconds of one."""
    with _products(variant):
        return _timers[variant].timeit(steps).mean


_timers: dict[Variant, Timer] = {}


def _products(variant: Variant) -> contextlib.AbstractContextManager[object]:
    # the published code runs with PyTorch's own settings: convolutions in TF32
    return contextlib.nullcontext() if variant.reference else float32_products(tf32=True)


class Runner:
    """A variant in a process of its own."""

    def __init__(self, variant: Variant, arguments: argparse.Namespace) -> None:
        self.variant, self.error, self.repetitions = variant, "", list[float]()
        # its processes are no daemons: Inductor starts no processes inside one, and compiles many times as long
        self.pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))
        first = self._run(prepare, variant, arguments.device, arguments.threads)
        self.outputs, seconds, self.megabytes = first or (variant.output_size, 1.0, 0.0)
        self._steps = max(1, round(arguments.seconds / seconds))

    def repeat(self) -> None:
        """Make some steps, unless an earlier one has failed."""
        if not self.error and (seconds := self._run(repeat, self.variant, self._steps)):
            self.repetitions.append(seconds)

    def _run(self, work: Callable[..., Any], *arguments: object) -> Any:
        try:
            return self.pool.submit(work, *arguments).result()
        except BrokenProcessPool:
            raise UserError(f"the process of {self.variant} ended") from None
        except (RuntimeError, MemoryError) as error:
            first_line = str(error).strip().partition("\n")[0]
            self.error = "out of memory" if "memory" in str(error) else first_line or type(error).__name__
            return None

    def row(self, published: "Runner | None") -> Row:
        """The figures, beside those of the published code in the same precision."""
        variant = self.variant
        name = "published" if variant.reference else variant.option
        row = Row(variant.network, name, variant.precision, self.outputs, variant.batch, error=self.error)
        if self.error:
            return row
        row.peak_memory_mb = self.megabytes
        row.seconds = statistics.median(self.repetitions)
        row.predicted_per_second = variant.batch * self.outputs / row.seconds
        if published and not published.error:
            ratios = [seconds / other for seconds, other in zip(self.repetitions, published.repetitions, strict=True)]
            row.time_of_published = statistics.median(ratios)
            row.memory_of_published = self.megabytes / published.megabytes
        return row


def measure(variants: Sequence[Variant], arguments: argparse.Namespace) -> list[Row]:
    """Return a row for each variant, measured in turns on a CPU, one after the other on a GPU."""
    groups = [[variant] for variant in variants] if arguments.device == "cuda" else [variants]
    runners: list[Runner] = []
    for group in groups:
        now = [Runner(variant, arguments) for variant in group]
        for _ in range(arguments.rounds):
            for runner in now:
                runner.repeat()
        for runner in now:
            runner.pool.shutdown()
        runners += now
    published = {runner.variant.precision: runner for runner in runners if runner.variant.reference}
    return [runner.row(published.get(runner.variant.precision)) for runner in runners]


def main(argv: list[str]) -> None:
    """Measure, print the table, write it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training", description="Speed of training steps.")
    parser.add_argument("--networks", nargs="+", default=["sequnet", "wavenet"], choices=NETWORKS)
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 4], help="crops")
    parser.add_argument("--output_sizes", nargs="+", type=int, default=[5000], help="predicted samples of a crop")
    parser.add_argument("--precisions", nargs="+", default=list(PRECISIONS), choices=PRECISIONS)
    parser.add_argument("--options", nargs="+", default=["plain"], choices=OPTIONS)
    add_options(parser)
    arguments = parser.parse_args(argv)
    rows: list[Row] = []
    for network, outputs, batch in product(arguments.networks, arguments.output_sizes, arguments.batches):
        shape = (network, outputs, batch)
        variants: list[Variant] = []
        if arguments.reference:
            precisions = dict.fromkeys(["float32", *arguments.precisions])
            variants += [Variant(*shape, each, "plain", arguments.reference) for each in precisions]
        variants += [Variant(*shape, *each, None) for each in product(arguments.precisions, arguments.options)]
        rows += measure(variants, arguments)
    show("Training", rows, arguments)


if __name__ == "__main__":
    exit_main("benchmarks.training", main, sys.argv[1:])
