"""Sampling speed of each engine: `python -m benchmarks.sampling --help`.

Engines of one network and number of clips run in alternation, so that a busy moment of the machine affects all of
them. The best repetition of each counts. Letters: B clips.
"""

import argparse
import copy
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import get_args

import torch

from benchmarks.common import PeakMemory, add_options, show
from benchmarks.published import published_step
from sequnet_pl.audio.files import SAMPLE_RATE
from sequnet_pl.cli.main import exit_main
from sequnet_pl.errors import UsageError
from sequnet_pl.models.network import Network
from sequnet_pl.models.sashimi import SaShiMi
from sequnet_pl.models.sequnet import SeqUNet
from sequnet_pl.models.wavenet import WaveNet
from sequnet_pl.names import EngineName
from sequnet_pl.sampling.draw import SamplingParams
from sequnet_pl.sampling.engines import engine_for
from sequnet_pl.sampling.engines.persistent import FEW_CLIPS
from sequnet_pl.sampling.generate import start

NETWORKS = {
    "sequnet": SeqUNet,
    "wavenet": WaveNet,
    "sequnet-small": lambda: SeqUNet(5, 12, 1, 5),
    "wavenet-small": lambda: WaveNet(4, 2, 8, 8, 16),
    "sequnet-tiny": lambda: SeqUNet(8, 32, 1, 5),
    "wavenet-tiny": lambda: WaveNet(10, 3, 32, 32, 128),
    "demo": lambda: SeqUNet(9, 32, [3, 1], 3, head=64, state=64),
    "piano-small": lambda: SeqUNet(12, 80, 1, 5, norm=True),
    "sequnet-mid": lambda: SeqUNet(10, 64, 2, 5),
    "wavenet-mid": lambda: WaveNet(12, 4, 64, 64, 256),
    "sashimi-small": lambda: SaShiMi(32, 1, norm=False, head=64),
}
WEIGHTS = ("float32", "bf16", "int8")
Run = Callable[[int], None]  # a number of steps


@dataclass
class Row:
    """Figures of an engine."""

    network: str
    engine: str
    weights: str
    clips: int
    labelled: bool = False
    steps_per_second: float = 0.0
    samples_per_second: float = 0.0  # of all clips
    real_time: float = 0.0  # seconds of sound, of one clip, a second
    peak_memory_mb: float = 0.0  # what making it and its first steps added
    times_published: float | None = None


def engine_run(network: Network, row: Row) -> Run:
    """Steps of one of our engines, drawing included."""
    labels = None
    if row.labelled:
        network = copy.deepcopy(network)
        network.select_labels([0, 0])
        labels = torch.arange(row.clips) % 3
    engine = engine_for(network, row.engine, row.weights, row.clips)  # type: ignore[arg-type]  # checked by argparse
    session = start(network, None, row.clips, labels)
    generator = torch.Generator(session.logits.device).manual_seed(0)

    def run(steps: int) -> None:
        uniform = torch.rand(row.clips, steps, dtype=torch.float64, device=session.logits.device, generator=generator)
        engine.sample_block(session, uniform, SamplingParams()).codes.cpu()

    return run


def published_run(folder: Path, network: Network, row: Row) -> Run:
    """Steps of the published network, without drawing."""
    step = published_step(folder, network, row.clips)

    def run(steps: int) -> None:
        for _ in range(steps):
            step()

    return run


def seconds_of(run: Run, steps: int) -> float:
    """Seconds that a number of steps takes."""
    begin = time.perf_counter()
    run(steps)
    return time.perf_counter() - begin


def steps_that_take(run: Run, seconds: float, cycle: int) -> int:
    """A number of steps, in whole cycles: the patterns of a cycle differ in work."""
    steps, taken = 1, 0.0
    while taken < seconds / 4 and steps < 2**20:
        steps *= 2
        taken = seconds_of(run, steps)
    return cycle * max(1, round(steps * seconds / taken / cycle))


def measure(networks: Mapping[str, Network], rows: Sequence[Row], arguments: argparse.Namespace) -> None:
    """Fill in the rows, in alternation; ratios are to the first one, if that is of the published code."""
    runs: list[tuple[Run, int]] = []
    for row in rows:
        network = networks[row.network]
        with PeakMemory(next(network.parameters()).device) as memory:
            published = row.engine == "published"
            run = published_run(arguments.reference, network, row) if published else engine_run(network, row)
            run(1)
        row.peak_memory_mb = memory.megabytes
        runs.append((run, steps_that_take(run, arguments.seconds, network.cycle)))
    repetitions = [[seconds_of(run, steps) / steps for run, steps in runs] for _ in range(arguments.rounds)]
    best = [min(each) for each in zip(*repetitions, strict=True)]
    for row, seconds in zip(rows, best, strict=True):
        row.steps_per_second = 1 / seconds
        row.samples_per_second = row.clips / seconds
        row.real_time = row.steps_per_second / SAMPLE_RATE
        if rows[0].engine == "published":
            row.times_published = best[0] / seconds


def has_row(engine: str, weights: str, clips: int, device: str) -> bool:
    """Return whether an engine has weights of this type, and is not another one for so many clips."""
    if device == "cpu":
        return weights == "float32" or engine in ("native", "auto")
    if engine == "cuda" and clips > FEW_CLIPS:
        return False
    return weights == "float32" or (weights == "bf16" and engine in ("cuda", "auto") and clips <= FEW_CLIPS)


def main(argv: list[str]) -> None:
    """Measure, print the table, write it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sampling", description="Sampling speed of each engine.")
    parser.add_argument("--networks", nargs="+", default=["sequnet", "wavenet"], choices=NETWORKS)
    parser.add_argument(
        "--engines", nargs="+", choices=get_args(EngineName), help="default: eager auto, on a GPU cuda graphs"
    )
    parser.add_argument("--weights", nargs="+", default=list(WEIGHTS), choices=WEIGHTS)
    parser.add_argument("--clips", nargs="+", type=int, default=[1, 16], help="clips at once")
    parser.add_argument("--labels", action="store_true", help="also measure each engine with labels")
    add_options(parser)
    arguments = parser.parse_args(argv)
    torch.set_flush_denormal(True)
    torch.set_num_threads(arguments.threads)
    rows: list[Row] = []
    engines = arguments.engines or (["eager", "auto"] if arguments.device == "cpu" else ["cuda", "graphs"])
    for name, clips in product(arguments.networks, arguments.clips):
        torch.manual_seed(0)
        network = NETWORKS[name]().to(arguments.device).eval()
        group = [Row(name, "published", "float32", clips)] if arguments.reference else []
        for engine, weights in product(engines, arguments.weights):
            if has_row(engine, weights, clips, arguments.device):
                labelled = [False, True] if arguments.labels else [False]
                group += [Row(name, engine, weights, clips, each) for each in labelled]
        measure({name: network}, group, arguments)
        rows += group
    if not rows:
        raise UsageError("none of these engines has weights of these types for so many clips")
    show("Sampling", rows, arguments)


if __name__ == "__main__":
    exit_main("benchmarks.sampling", main, sys.argv[1:])
