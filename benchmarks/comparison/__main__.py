"""Train, score, sample and measure both networks, and write one report. A comparison that was stopped goes on."""

import hashlib
import json
import shlex
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal, NoReturn

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.comparison import speeds
from benchmarks.comparison.report import write_report
from benchmarks.comparison.results import Found, Results
from benchmarks.comparison.rows import HEADER, NETWORKS, rows
from benchmarks.comparison.scales import SCALES, Scale
from benchmarks.comparison.stages import Contender
from sequnet_pl.audio.files import SAMPLE_RATE
from sequnet_pl.cli.main import exit_main
from sequnet_pl.cli.parsing import Parser as OneLineParser
from sequnet_pl.errors import UsageError, UserError
from sequnet_pl.evaluate.comparison import check_length

PROGRAM = "python -m benchmarks.comparison"


@dataclass(frozen=True)
class Options:
    """What is asked for; None where nothing was said. See `parse` for what each means."""

    scale: str
    audio_dir: str | None
    data_dir: str
    max_steps: int | None
    seconds: float | None
    gpus: int | None
    out: str | None


def parse(argv: Sequence[str]) -> Options:
    """The options of a command line. UsageError where one is unknown or makes no sense."""
    parser = OneLineParser(prog=PROGRAM, description=__doc__ or "", usage=f"{PROGRAM} --scale NAME [options]")
    names = ", ".join(SCALES)
    parser.option("--scale", type=Literal[tuple(SCALES)], required=True, metavar="NAME", help=names)
    parser.option("--audio_dir", type=str | None, metavar="DIR", help="recordings instead of the scale's own")
    parser.option("--data_dir", type=str, default="data", metavar="DIR", help="where codes are kept (data)")
    parser.option("--max_steps", type=int | None, metavar="N", help="steps of training instead of the scale's")
    parser.option("--seconds", type=float | None, metavar="S", help="length of clips instead of the scale's")
    parser.option("--gpus", type=int | None, metavar="N", help="0 is the CPU (1 if there is one)")
    parser.option("--out", type=str | None, metavar="DIR", help="folder of the results (comparison/<scale>)")
    options = Options(**vars(parser.values(argv)))
    for name, least in (("max_steps", 1), ("gpus", 0)):
        if (value := getattr(options, name)) is not None and value < least:
            raise UsageError(f"--{name} is {value}, but must be {least} or more")
    if options.seconds is not None and not 0 < options.seconds < float("inf"):
        raise UsageError(f"--seconds is {options.seconds:g}, but must be more than 0")
    return options


def main(argv: Sequence[str]) -> None:
    """The whole command; what is not the user's to mend is raised."""
    options = parse(argv)
    scale = SCALES[options.scale]
    scale = replace(scale, steps=options.max_steps or scale.steps, seconds=options.seconds or scale.seconds)
    check_length(round(scale.seconds * SAMPLE_RATE), SAMPLE_RATE)  # not after hours of training
    folder = Path(options.out or f"comparison/{options.scale}")
    compare(scale, options, folder, shlex.join([*PROGRAM.split(), *argv]))


def compare(scale: Scale, options: Options, folder: Path, command: str) -> None:
    """Do what is not done yet, and write the report. Raises UserError, or SystemExit where a stage ends so."""
    gpus = min(1, torch.cuda.device_count()) if options.gpus is None else options.gpus
    flags = [f"--data_dir={options.data_dir}"]
    flags.append(f"--audio_dir={options.audio_dir}" if options.audio_dir else f"--dataset={scale.dataset}")
    flags += [f"--max_steps={scale.steps}"] if scale.steps else []
    settings = {"scale": asdict(scale), "flags": flags, "gpus": gpus}
    results = Results(folder / "results.json", settings)
    digest = hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:8]
    runs = [
        Contender(network, shape, folder / "logs", f"comparison-{digest}", scale, flags, gpus)
        for network, shape in zip(NETWORKS, scale.networks, strict=True)
    ]
    found = _stages(results, runs, scale, gpus)
    write_report(folder, options.scale, command, found, runs)
    table = Table(*HEADER)
    for row in rows(found):
        table.add_row(*row.cells)
    Console().print(table, f"the report: {folder / 'report.html'}")


def _stages(results: Results, runs: Sequence[Contender], scale: Scale, gpus: int) -> dict[str, Found]:
    """All stages by name; every network does one before any does the next."""
    found: dict[str, Found] = {}
    for stage in (Contender.train, Contender.test, Contender.score_training, Contender.sample, Contender.evaluate):
        for run in runs:
            name = f"{stage.__name__.replace('_', ' ')} {run.network}"
            found[name] = results.stage(name, lambda stage=stage, run=run: stage(run))
    one, other = (found[f"test {network}"]["fingerprint"] for network in NETWORKS)
    if one != other:
        raise UserError("the recordings have changed between the two trainings: begin anew with another --out")
    data = found[f"train {NETWORKS[0]}"]["data"]
    found["training speed"] = results.stage(
        "training speed", lambda: speeds.training_speeds(scale.networks, data, gpus, scale.turn, scale.rounds)
    )
    found["sampling speed"] = results.stage(
        "sampling speed", lambda: speeds.sampling_speeds(scale.networks, gpus, scale.turn, scale.rounds)
    )
    found["machine"] = results.stage("machine", lambda: speeds.machine(gpus))
    return found


def _stop(signum: int, _: object) -> NoReturn:
    raise SystemExit(128 + signum)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _stop)  # the stage under way is told, and saves
    exit_main("comparison", main, sys.argv[1:])
