"""How fast and in how much memory networks learn: `python -m benchmarks.training --help`.

Every way (network, batch, precision, options) lives in processes of its own, so that its peak of memory is its own.
Ways of one network, batch and output size take turns, so that a busy moment of the machine meets all of them; times are
medians of turns, and the ratio to the published code is the median of the ratios of each round.
A step is forward, loss, backward and Adam on random codes. Letters: B batch, T time, Q = 256 classes.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins.environments.lightning import find_free_network_port
from rich.console import Console
from rich.table import Table
from torch import distributed, multiprocessing, nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.memory import PeakMemory
from benchmarks.published import published_network
from benchmarks.sampling import NETWORKS
from sequnet_pl.atomic import write_text
from sequnet_pl.errors import UserError
from sequnet_pl.training.metrics import nats
from sequnet_pl.training.optimization import Optimization

OPTIONS = ("plain", "checkpointing", "compile")
TYPES = {"float32": torch.float32, "bf16-mixed": torch.bfloat16}


@dataclass(frozen=True)
class Way:
    """What is done in a step."""

    network: str
    output_size: int
    batch: int  # crops, of each process
    precision: str
    option: str
    processes: int
    reference: Path | None  # a copy of the published code, where that is measured

    @property
    def name(self) -> str:
        """For the table."""
        if self.reference:
            return "published"
        return self.option + (f", {self.processes} processes" if self.processes > 1 else "")


@dataclass
class Row:
    """One line of the table."""

    network: str
    output_size: int
    batch: int
    precision: str
    way: str
    seconds: float  # of a step
    predicted_per_second: float  # samples
    peak_memory_mb: float  # of a process: weights, Adam's moments, activations
    gflop: float  # of a step of a process
    gflop_per_second: float
    matrix_share: float  # of the rate of large matrix products in the same type
    time_of_published: float | None
    memory_of_published: float | None


@dataclass(frozen=True)
class Measured:
    """What the first steps of a process say."""

    outputs: int
    gflop: float
    seconds: float
    peak_memory_mb: float


def step_of(way: Way, device: torch.device, rank: int) -> tuple[Callable[[], None], int]:
    """A function that makes one step, and the samples that it predicts of each crop."""
    torch.manual_seed(0)
    ours = NETWORKS[way.network]()
    inputs, outputs = ours.window(way.output_size)
    codes = torch.randint(256, (way.batch, inputs + 1), dtype=torch.uint8).to(device)
    targets = codes[:, -outputs:].long()
    if way.reference:
        model = published_network(way.reference, ours, way.output_size).to(device)
        one_hot = F.one_hot(codes[:, :-1].long(), 256).transpose(1, 2).float().contiguous()  # its loader makes it
        adam = torch.optim.Adam(model.parameters(), lr=5e-4)

        def published_step() -> None:
            logits = model(one_hot).transpose(1, 2).contiguous().view(-1, 256)
            loss = F.cross_entropy(logits, targets.flatten())
            adam.zero_grad()
            loss.backward()
            adam.step()

        return published_step, outputs

    network: nn.Module = ours.to(device)
    ours.checkpoint_activations = way.option == "checkpointing"
    if way.option == "compile":
        ours.compile(dynamic=False)
    if way.processes > 1:
        network = DistributedDataParallel(ours, [rank] if device.type == "cuda" else None)
    optimizer = Optimization(5e-4, 1e-8, 0.999, 0.0, 0.0, False).optimizer(network, 5e-4)

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=way.precision == "bf16-mixed"):
            logits = network(codes[:, :-1])
        nats(logits, targets).mean().backward()
        optimizer.step()
        optimizer.zero_grad()  # as the module does: gradients are not there in the next forward pass

    return step, outputs


def serve(way: Way, kind: str, rank: int, threads: int, port: int, connection: Any) -> None:
    """The life of one process: measure the first steps, then make as many as asked for and tell how long they took."""
    torch.set_num_threads(max(1, threads // way.processes))
    device = torch.device(kind, rank) if kind == "cuda" else torch.device(kind)
    if way.processes > 1:
        address = f"tcp://127.0.0.1:{port}"
        backend = "nccl" if kind == "cuda" else "gloo"
        distributed.init_process_group(backend, address, rank=rank, world_size=way.processes)
    try:
        with PeakMemory(device) as memory:
            step, outputs = step_of(way, device, rank)
            timed(step, 5, device)  # memory of a CPU grows for some steps, until the gaps in it are of use
            seconds = timed(step, 1, device)
        with FlopCounterMode(display=False) as counter:
            step()
    except UserError as error:
        connection.send(error)
        return
    connection.send(Measured(outputs, counter.get_total_flops() / 1e9, seconds, memory.megabytes))
    while steps := connection.recv():
        connection.send(timed(step, steps, device))
    if way.processes > 1:
        distributed.destroy_process_group()


def timed(step: Callable[[], object], steps: int, device: torch.device) -> float:
    """Seconds a step."""
    begin = time.perf_counter()
    for _ in range(steps):
        step()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return (time.perf_counter() - begin) / steps


class Runner:
    """The processes of a way."""

    def __init__(self, way: Way, arguments: argparse.Namespace) -> None:
        self.way, port = way, find_free_network_port()
        context = multiprocessing.get_context("spawn")
        pairs = [context.Pipe() for _ in range(way.processes)]
        self._connections = [here for here, _ in pairs]
        for rank, (_, there) in enumerate(pairs):
            settings = (way, arguments.device, rank, arguments.threads, port, there)
            context.Process(target=serve, args=settings, daemon=True).start()
            there.close()
        found = [self._received(connection) for connection in self._connections]
        self.first: Measured = found[0]
        self.steps = max(1, round(arguments.seconds / self.first.seconds))

    def turn(self) -> float:
        """Seconds a step, of the slowest process."""
        for connection in self._connections:
            connection.send(self.steps)
        return max(self._received(connection) for connection in self._connections)

    def end(self) -> None:
        """Let the processes go."""
        for connection in self._connections:
            connection.send(0)
            connection.close()

    def _received(self, connection: Any) -> Any:
        try:
            found = connection.recv()
        except EOFError:
            raise UserError(f"a process of {self.way.network}, batch {self.way.batch}, {self.way.name} ended") from None
        if isinstance(found, UserError):
            raise found
        return found


def matrix_rate(dtype: torch.dtype, device: torch.device, size: int = 2048) -> float:
    """GFLOP/s of the best of some large matrix products."""
    one, other = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    best = min(timed(lambda: torch.mm(one, other), 1, device) for _ in range(10))
    return 2 * size**3 / best / 1e9


def measure(ways: list[Way], rates: dict[str, float], arguments: argparse.Namespace) -> Iterator[Row]:
    """A row for each way; the first is the published code where that is measured."""
    runners = [Runner(way, arguments) for way in ways]
    rounds = [[runner.turn() for runner in runners] for _ in range(arguments.rounds)]
    for index, runner in enumerate(runners):
        way, first = runner.way, runner.first
        seconds = statistics.median(turns[index] for turns in rounds)
        ratio = statistics.median(turns[index] / turns[0] for turns in rounds)
        memory = first.peak_memory_mb
        yield Row(
            way.network,
            first.outputs,
            way.batch,
            way.precision,
            way.name,
            seconds,
            way.processes * way.batch * first.outputs / seconds,
            memory,
            first.gflop,
            first.gflop / seconds,
            first.gflop * way.processes / seconds / rates[way.precision],
            ratio if ways[0].reference else None,
            memory / runners[0].first.peak_memory_mb if ways[0].reference else None,
        )
        runner.end()


def table(rows: list[Row]) -> Table:
    """The rows for people."""
    result = Table(title="Training")
    for header in ("network", "way", "precision"):
        result.add_column(header)
    headers = ("outputs", "batch", "s/step", "predicted/s", "peak MB", "GFLOP/s", "of matrix product")
    for header in (*headers, "time of published", "memory of published"):
        result.add_column(header, justify="right")
    for row in rows:
        result.add_row(
            row.network,
            row.way,
            row.precision,
            f"{row.output_size:,}",
            str(row.batch),
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
    rates = {name: matrix_rate(TYPES[name], device) for name in TYPES}
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
