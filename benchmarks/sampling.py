"""Sampling speed of each engine: `python -m benchmarks.sampling --help`.

Engines of one network and number of clips run in turns, so that a busy moment of the machine affects all of them, and
the best turn of each counts. Letters: B clips.
"""

import argparse
import copy
import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import get_args

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.memory import PeakMemory
from benchmarks.published import published_step
from sequnet_pl.atomic import write_text
from sequnet_pl.audio.files import SAMPLE_RATE
from sequnet_pl.errors import UserError
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
    "sequnet-norm": lambda: SeqUNet(norm=True),
    "wavenet": WaveNet,
    "sequnet-small": lambda: SeqUNet(5, 12, 1, 5),
    "wavenet-small": lambda: WaveNet(4, 2, 8, 8, 16),
    "sequnet-tiny": lambda: SeqUNet(8, 32, 1, 5),
    "sequnet-tiny-norm": lambda: SeqUNet(8, 32, 1, 5, norm=True),
    "wavenet-tiny": lambda: WaveNet(10, 3, 32, 32, 128),
    "demo": lambda: SeqUNet(9, 32, [3, 1], 3, head=64),
    "demo-norm": lambda: SeqUNet(9, 32, [3, 1], 3, norm=True, head=64),
    "demo-norm-no-head": lambda: SeqUNet(9, 32, [3, 1], 3, norm=True),
    "piano-small": lambda: SeqUNet(12, 80, 1, 5, norm=True),
    "sequnet-mid": lambda: SeqUNet(10, 64, 2, 5),
    "wavenet-mid": lambda: WaveNet(12, 4, 64, 64, 256),
    "sashimi-small": lambda: SaShiMi(32, 1, norm=False, head=64),
    "sashimi-norm": lambda: SaShiMi(32, 1, head=64),
}
WEIGHTS = ("float32", "bf16", "int8")
Run = Callable[[int], None]  # make so many steps


@dataclass
class Row:
    """One line of the table."""

    network: str
    engine: str
    weights: str
    clips: int
    steps_per_second: float = 0.0
    real_time: float = 0.0  # seconds of sound, of one clip, a second
    microseconds_per_step: float = 0.0
    peak_memory_mb: float = 0.0  # what making it and its first steps added
    times_published: float | None = None
    labelled: bool = False


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


def steps_that_take(run: Run, seconds: float, cycle: int) -> int:
    """A number of steps, in whole cycles: the patterns of a cycle differ in work."""
    steps, taken = 1, 0.0
    while taken < seconds / 4 and steps < 2**20:
        steps *= 2
        begin = time.perf_counter()
        run(steps)
        taken = time.perf_counter() - begin
    return cycle * max(1, round(steps * seconds / taken / cycle))


def measure(network: Network, rows: list[Row], arguments: argparse.Namespace) -> None:
    """Fill in the rows, which are all of one network and number of clips."""
    device = next(network.parameters()).device
    runs: list[tuple[Row, Run, int]] = []
    for row in rows:
        with PeakMemory(device) as memory:
            published = row.engine == "published"
            run = published_run(arguments.reference, network, row) if published else engine_run(network, row)
            run(1)
        row.peak_memory_mb = memory.megabytes
        runs.append((row, run, steps_that_take(run, arguments.seconds, network.cycle)))
    best = dict.fromkeys(range(len(runs)), math.inf)
    for _ in range(arguments.rounds):
        for index, (_, run, steps) in enumerate(runs):
            begin = time.perf_counter()
            run(steps)
            best[index] = min(best[index], (time.perf_counter() - begin) / steps)
    for index, row in enumerate(rows):
        row.steps_per_second = 1 / best[index]
        row.real_time = row.steps_per_second / SAMPLE_RATE
        row.microseconds_per_step = 1e6 * best[index]
        if rows[0].engine == "published":
            row.times_published = best[0] / best[index]


def table(rows: list[Row]) -> Table:
    """The rows for people."""
    result = Table(title="Sampling")
    headers = ("network", "clips", "engine", "weights", "steps/s", "samples/s", "real time", "us/step")
    for header in (*headers, "peak MB", "x published"):
        result.add_column(header, justify="left" if header in ("network", "engine", "weights") else "right")
    for row in rows:
        result.add_row(
            f"{row.network}, label" if row.labelled else row.network,
            str(row.clips),
            row.engine,
            row.weights,
            f"{row.steps_per_second:,.0f}",
            f"{row.steps_per_second * row.clips:,.0f}",
            f"{row.real_time:.3f}",
            f"{row.microseconds_per_step:,.1f}",
            f"{row.peak_memory_mb:,.0f}",
            "" if row.times_published is None else f"{row.times_published:.1f}",
        )
    return result


def has_row(engine: str, weights: str, clips: int, device: str) -> bool:
    """Whether an engine has weights of this type, and whether it is not another one for so many clips."""
    if device == "cpu":
        return weights == "float32" or engine in ("native", "auto")
    if engine == "cuda" and clips > FEW_CLIPS:
        return False
    return weights == "float32" or (weights == "bf16" and engine in ("cuda", "auto") and clips <= FEW_CLIPS)


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sampling", description="How fast each engine samples.")
    parser.add_argument("--networks", nargs="+", default=["sequnet", "wavenet"], choices=NETWORKS)
    parser.add_argument("--engines", nargs="+", choices=get_args(EngineName), help="eager auto, on a GPU cuda graphs")
    parser.add_argument("--weights", nargs="+", default=list(WEIGHTS), choices=WEIGHTS)
    parser.add_argument("--clips", nargs="+", type=int, default=[1, 16], help="clips at once")
    parser.add_argument("--labels", action="store_true", help="measure each engine with labels, too")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads")
    parser.add_argument("--reference", type=Path, help="folder of a copy of github f90/Seq-U-Net to compare with")
    parser.add_argument("--seconds", type=float, default=1.0, help="length of a turn")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each engine")
    parser.add_argument("--json", type=Path, help="file to write the rows to")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Measure, print the table, write it."""
    arguments = parse(argv)
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
                group += [Row(name, engine, weights, clips, labelled=each) for each in labelled]
        measure(network, group, arguments)
        rows += group
    console = Console()
    console.width = max(console.width, 130)  # a file or a pipe counts as 80 columns wide
    console.print(table(rows))
    if arguments.json:
        device = torch.cuda.get_device_name() if arguments.device == "cuda" else "cpu"
        heading = {"device": device, "threads": arguments.threads, "torch": torch.__version__}
        write_text(arguments.json, json.dumps(heading | {"rows": [asdict(row) for row in rows]}, indent=2) + "\n")


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        raise SystemExit(f"error: {error}") from error
