"""A training step of a way (network, batch, precision, options), made by processes of its own.

A step is forward, loss, backward and Adam on random codes.
"""

import argparse
import contextlib
import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins.environments.lightning import find_free_network_port
from torch import distributed, multiprocessing, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.memory import PeakMemory
from benchmarks.published import published_network
from benchmarks.sampling import NETWORKS
from sequnet_pl.data.crops import Batch
from sequnet_pl.errors import UserError
from sequnet_pl.models.precision import float32_products
from sequnet_pl.training.compilation import BACKEND, compiled_loss_sum, loss_sum
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
    loss_of = compiled_loss_sum(BACKEND) if way.option == "compile" else loss_sum
    if way.processes > 1:
        torch._dynamo.config.optimize_ddp = False  # as training has it
        network = DistributedDataParallel(ours, [rank] if device.type == "cuda" else None)
    optimizer = Optimization(5e-4, 1e-8, 0.999, 0.0, 0.0, False).optimizer(ours, 5e-4)

    counts = torch.full((way.batch,), outputs, device=device)
    batch = Batch(codes, counts, counts, counts)

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=way.precision == "bf16-mixed"):
            total = loss_of(network, batch)  # type: ignore[arg-type]  # DDP calls the network
        (total / targets.numel()).backward()
        optimizer.step()
        optimizer.zero_grad()  # as the module does: gradients are not there in the next forward pass

    return step, outputs


def serve(way: Way, kind: str, rank: int, threads: int, port: int, connection: Any) -> None:
    """The life of one process: measure the first steps, then make as many as asked for and tell how long they took."""
    torch.set_num_threads(max(1, threads // way.processes))
    device = torch.device(kind, rank) if kind == "cuda" else torch.device(kind)
    # the published code knows no such settings: it runs with PyTorch's own, convolutions in TF32
    products = contextlib.nullcontext if way.reference else functools.partial(float32_products, tf32=True)
    if way.processes > 1:
        address = f"tcp://127.0.0.1:{port}"
        backend = "nccl" if kind == "cuda" else "gloo"
        distributed.init_process_group(backend, address, rank=rank, world_size=way.processes)
    try:
        with PeakMemory(device) as memory, products():
            step, outputs = step_of(way, device, rank)
            timed(step, 5, device)  # memory of a CPU grows for some steps, until the gaps in it are of use
            seconds = timed(step, 1, device)
        connection.send(Measured(outputs, gflop(way), seconds, memory.megabytes))
        while steps := connection.recv():
            with products():
                connection.send(timed(step, steps, device))
    except (UserError, RuntimeError, MemoryError) as error:
        said = "out of memory" if "memory" in str(error) else str(error).strip().partition("\n")[0]
        connection.send(error if isinstance(error, UserError) else said or type(error).__name__)
        return
    if way.processes > 1:
        distributed.destroy_process_group()


def gflop(way: Way) -> float:
    """Thousands of millions of floating point operations of the plain network's step; nothing is computed."""
    with FakeTensorMode():
        network = NETWORKS[way.network]()
        codes = torch.zeros(way.batch, network.window(way.output_size).inputs, dtype=torch.uint8)
        with FlopCounterMode(display=False) as counter:
            network(codes).sum().backward()
    return counter.get_total_flops() / 1e9


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
        self._connections, self._processes = [here for here, _ in pairs], []
        for rank, (_, there) in enumerate(pairs):
            settings = (way, arguments.device, rank, arguments.threads, port, there)
            # no daemon: one would compile without processes of its own, many times as long
            self._processes.append(context.Process(target=serve, args=settings))
            self._processes[-1].start()
            there.close()
        found = [self._received(connection) for connection in self._connections]
        self.error = next((each for each in found if isinstance(each, str)), "")
        """Why there is nothing to measure."""
        self.first: Measured = found[0]
        self.turns: list[float] = []
        """Seconds a step, of the slowest process."""
        self._steps = 0 if self.error else max(1, round(arguments.seconds / self.first.seconds))

    def turn(self) -> None:
        """Make some steps."""
        if not self.error:
            for connection in self._connections:
                connection.send(self._steps)
            found = [self._received(connection) for connection in self._connections]
            self.error = next((each for each in found if isinstance(each, str)), "")
            self.turns += [] if self.error else [max(found)]

    def end(self) -> None:
        """Let the processes go."""
        for connection in self._connections:
            with contextlib.suppress(BrokenPipeError):
                connection.send(0)
            connection.close()
        for process in self._processes:
            process.join()

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
