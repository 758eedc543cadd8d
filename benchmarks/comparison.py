"""The published comparison of Seq-U-Net and WaveNet.

Both networks are trained on the same data for as many steps, tested, sampled, evaluated and timed. The results are
written to report.html and report.md, with the ratios that the paper claims. An interrupted comparison is continued.
"""

import hashlib
import json
import shlex
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from rich.console import Console
from rich.markdown import Markdown

from benchmarks import sampling, training
from benchmarks.sampling import NETWORKS as SHAPES
from sequnet_pl import atomic
from sequnet_pl.cli.main import exit_main
from sequnet_pl.cli.parsing import Parser
from sequnet_pl.errors import UserError
from sequnet_pl.limits import NonNegativeInt
from sequnet_pl.models import registry
from sequnet_pl.models.network import Network
from sequnet_pl.report.compare import write_comparison
from sequnet_pl.report.scores import NETWORK
from sequnet_pl.sampling.engines import engine_for
from sequnet_pl.training.checkpoints import LAST
from sequnet_pl.training.trained import load_trained

PROGRAM = "python -m benchmarks.comparison"
NETWORKS = ("sequnet", "wavenet")
NAMES = {name: registry.title(name) for name in NETWORKS}
CLIPS = (1, 16)
"""Numbers of clips at once whose sampling is timed."""
CLAIM = (
    "The claims are those of Stoller, Tian, Ewert and Dixon 2020 (https://arxiv.org/abs/1911.06393) for the published "
    "networks on a GPU: over 4 times as fast in training and in sampling, less memory, as good in bits per sample."
)

_FAST = "over 4 times as fast"
_ROOT = Path(__file__).parents[1]
_ROUNDS = 5  # repetitions of each network
_GOOD = ("--beta2=0.95", "--warmup=0.1", "--anneal", "--clip=1.0", "--code_frequency=10")
"""Learns more in few steps than the published settings, with either network (`benchmarks/learning.py`)."""
_SHORT = (
    "--epochs=-1",  # the number of steps ends it
    "--num_workers=0",
    "--sample_audio.every_n_epochs=0",
    "--trainer.check_val_every_n_epoch=null",  # by steps
)

Results = dict[str, Any]
"""Results of a stage, as JSON has them."""


@dataclass(frozen=True)
class Scale:
    """A size of the comparison."""

    networks: tuple[str, str]  # of about equal receptive field; names in `benchmarks.sampling.NETWORKS`
    training: tuple[str, ...]  # options of train.py, for both
    clips: int  # generated clips of each network
    seconds: float  # length of the generated part of a clip
    prompt_seconds: float
    dataset: str = "builtin"  # recordings, if no folder is given
    repetition: float = 2.0  # seconds, when speeds are measured


SCALES = {
    # Receptive fields of a sixth of a second, so that crops of 4,096 targets consist mostly of targets.
    "tiny": Scale(
        ("sequnet-tiny", "wavenet-tiny"),
        (*_SHORT, *_GOOD, "--lr=2e-2", "--output_size=4096", "--batch_size=4", "--log_interval=5", "--val_hours=0.01",
         "--trainer.val_check_interval=50", "--last.every_n_steps=50", "--max_steps=300"),
        clips=16, seconds=1.0, prompt_seconds=0.5,
    ),
    # Half the published receptive field: a second.
    "small": Scale(
        ("sequnet-mid", "wavenet-mid"),
        (*_SHORT, *_GOOD, "--lr=1e-2", "--output_size=8192", "--batch_size=4", "--log_interval=10", "--val_hours=0.02",
         "--trainer.val_check_interval=200", "--last.every_n_steps=100", "--max_steps=2000"),
        clips=32, seconds=2.0, prompt_seconds=1.0,
    ),
    "published": Scale(("sequnet", "wavenet"), (), clips=64, seconds=2.0, prompt_seconds=1.0, dataset="piano"),
}  # fmt: skip


def main(argv: list[str]) -> None:
    """Run the command. Raises UsageError or UserError, and SystemExit if a stage ends with an error."""
    parser = Parser(prog=PROGRAM, description=__doc__ or "", usage=f"{PROGRAM} --scale NAME [options]")
    parser.option("--scale", type=Literal[tuple(SCALES)], required=True, metavar="NAME", help=", ".join(SCALES))
    parser.option("--audio_dir", type=str | None, metavar="DIR", help="recordings instead of the scale's own")
    parser.option("--gpus", type=NonNegativeInt | None, metavar="N", help="number of GPUs, 0 for the CPU (1 if any)")
    parser.option("--out", type=str | None, metavar="DIR", help="folder of the results (comparison/<scale>)")
    options = parser.values(argv)
    gpus = int(torch.cuda.is_available()) if options.gpus is None else options.gpus
    folder, scale = Path(options.out or f"comparison/{options.scale}"), SCALES[options.scale]
    recordings = f"--audio_dir={options.audio_dir}" if options.audio_dir else f"--dataset={scale.dataset}"
    found = compare(folder, scale, recordings, gpus)
    write_report(folder, shlex.join([*PROGRAM.split(), *argv]), found)
    Console().print(Markdown((folder / "report.md").read_text(encoding="utf-8")), f"report: {folder / 'report.html'}")


def compare(folder: Path, scale: Scale, recordings: str, gpus: int) -> dict[str, Results]:
    """Results of all stages by name; those in results.json of the same settings are not computed again."""
    settings = json.loads(json.dumps([asdict(scale), recordings, gpus]))
    path, found = folder / "results.json", {}
    if path.exists():
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            found = dict(content["stages"]) if content["settings"] == settings else {}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path} holds no results of a comparison; move it away, or choose --out") from error

    def stage(name: str, make: Callable[..., Results], *arguments: Any) -> None:
        if name not in found:
            print(f"--- {name}", flush=True)
            found[name] = json.loads(json.dumps(make(*arguments)))
            content = {"settings": settings, "stages": found}
            atomic.write_text(path, json.dumps(content, indent=2) + "\n")

    name = f"comparison-{hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:8]}"
    runs = {network: folder / "logs" / network / name for network in NETWORKS}
    for network, shape in zip(NETWORKS, scale.networks, strict=True):
        options = [f"--model={network}", *scale.training, recordings]
        stage(f"train {network}", train, runs[network], SHAPES[shape](), options, gpus)
    for network, run in runs.items():
        stage(f"test {network}", test, run, gpus)
        stage(f"evaluate {network}", evaluate, run, scale, gpus)
    if len({found[f"test {network}"]["fingerprint"] for network in NETWORKS}) > 1:
        raise UserError("the recordings have changed between the two trainings: start again with another --out")
    stage("training", training_speeds, scale, found["train sequnet"]["data"], gpus)
    stage("sampling", sampling_speeds, scale, gpus)
    return found


def train(run: Path, network: Network, options: Sequence[str], gpus: int) -> Results:
    """Train a network, or resume that; its sizes and the settings of its data."""
    shape = [f"--{name}={value}" for name, value in network.arguments.items()]
    _train_py(run, *options, *shape, "--ckpt_path=auto", "--logger=none", f"--gpus={gpus}")
    trained = load_trained(run / "checkpoints" / LAST)
    return {
        "run": str(run),
        "steps": trained.step,
        "parameters": sum(parameter.numel() for parameter in trained.network.parameters()),
        "receptive_field": trained.network.receptive_field,
        "data": trained.data,
    }


def test(run: Path, gpus: int) -> Results:
    """Scores on the test recordings, as test.json has them."""
    _train_py(run, "test", f"--ckpt_path={run / 'checkpoints' / LAST}", f"--gpus={gpus}")
    scores = json.loads((run / "test.json").read_text(encoding="utf-8"))
    return {name: scores[name] for name in ("samples", "accuracy", "fingerprint", "bits_per_sample")}


def evaluate(run: Path, scale: Scale, gpus: int) -> Results:
    """Sample and evaluate clips; every network continues the same prompts with equal random numbers."""
    sizes = [f"--seconds={scale.seconds}", f"--ckpt_path={run / 'checkpoints' / LAST}", f"--gpus={min(gpus, 1)}"]
    prompts = ["--conditional=1", f"--prompt_seconds={scale.prompt_seconds}", f"--batch_size={scale.clips}"]
    _run(str(_ROOT / "sample.py"), *prompts, *sizes, f"--output_dir={run / 'clips'}")
    folder = run / "evaluation"
    _run("-m", "sequnet_pl.evaluate", f"--clips_dir={run / 'clips'}", *sizes, f"--output_dir={folder}")
    found = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    distance = found["measures"]["log_mel_frechet"]["distance"]
    return {"clips": found["clips"], "distance": distance, "silent": found["silent_clips"]["generated"]}


def training_speeds(scale: Scale, data: Mapping[str, Any], gpus: int) -> Results:
    """Seconds of a step, and megabytes at its peak, of both networks; `data` has the sizes of a batch.

    UserError where one cannot be measured.
    """
    device, threads = "cuda" if gpus else "cpu", torch.get_num_threads()
    settings = Namespace(device=device, threads=threads, seconds=scale.repetition, rounds=_ROUNDS)
    rows = [training.Row(name, "plain", "float32", data["output_size"], data["batch_size"]) for name in scale.networks]
    training.measure(rows, settings)
    for row in rows:
        if row.error:
            raise UserError(f"cannot time the training of {row.network}: {row.error}; the same command continues")
    name = torch.cuda.get_device_name() if gpus else f"CPU, threads: {threads}"
    figures = {"seconds": [row.seconds for row in rows], "megabytes": [row.peak_memory_mb for row in rows]}
    return figures | {"device": name, "torch": torch.__version__}


def sampling_speeds(scale: Scale, gpus: int) -> Results:
    """Steps a second of both networks at each number of CLIPS, and the engine."""
    networks = {name: SHAPES[name]().to("cuda" if gpus else "cpu").eval() for name in scale.networks}
    found: Results = {"engine": engine_for(networks[scale.networks[0]]).name}
    for clips in CLIPS:
        rows = [sampling.Row(name, "auto", "float32", clips) for name in networks]
        sampling.measure(networks, rows, Namespace(seconds=scale.repetition, rounds=_ROUNDS))
        found[str(clips)] = [row.steps_per_second for row in rows]
    return found


def table(found: Mapping[str, Results]) -> list[list[str]]:
    """Name, both values, ratio and claim of each line, from the results of all stages."""
    trained, tested, evaluated = (
        [found[f"{stage} {network}"] for network in NETWORKS] for stage in ("train", "test", "evaluate")
    )
    worse = worse_than_bigram(found)
    lines: list[list[str]] = []

    def add(name: str, values: Sequence[float], digits: str, claim: str = "", reached: bool = False) -> None:
        ratio = f"{values[0] / values[1]:.2f}" if values[1] else "–"
        verdict = f"{claim}: {'reached' if reached and not worse else 'not reached'}" if claim else "–"
        lines.append([name, *(f"{value:{digits}}" for value in values), ratio, verdict])

    bits = [one["bits_per_sample"][NETWORK] for one in tested]
    add("bits per sample, test", bits, ".3f", "as good", bits[0] <= bits[1])
    add("accuracy, test", [one["accuracy"] for one in tested], ".2%")
    distances = [one["distance"] for one in evaluated]
    real, noise = (distances[0][name]["value"] for name in ("real", "noise"))
    add(
        f"log-mel Fréchet distance (other recordings {real:.1f}, noise {noise:.1f}), dB",
        [one["generated"]["value"] for one in distances],
        ".1f",
    )
    for column, one in enumerate(distances, 1):
        lines[-1][column] += f" ± {one['generated']['error']:.1f}"
    add("silent clips", [one["silent"] for one in evaluated], ".0%")
    add("parameters", [one["parameters"] for one in trained], ",.0f")
    add("receptive field, samples", [one["receptive_field"] for one in trained], ",.0f")
    seconds, megabytes = found["training"]["seconds"], found["training"]["megabytes"]
    add("training: seconds a step", seconds, ".3g", _FAST, 4 * seconds[0] <= seconds[1])
    add("training: peak memory, MB", megabytes, ",.0f", "less", megabytes[0] <= megabytes[1])
    for clips in CLIPS:
        speeds = found["sampling"][str(clips)]
        add(f"sampling: steps a second, clips: {clips}", speeds, ",.0f", _FAST, speeds[0] >= 4 * speeds[1])
    return lines


def worse_than_bigram(found: Mapping[str, Results]) -> str:
    """A remark if a network is worse than the bigram baseline, so that no claim is reached; else an empty string."""
    for network, name in NAMES.items():
        bits = found[f"test {network}"]["bits_per_sample"]
        value, bigram = bits[NETWORK], bits["bigram baseline"]
        if value > bigram:
            why = f"{name} has {value:.3f} bits per sample, more than the bigram baseline, {bigram:.3f}; train longer."
            return f"No claim is reached: {why}"
    return ""


def write_report(folder: Path, command: str, found: Mapping[str, Results]) -> None:
    """Write report.md, and report.html with curves and clips, into `folder`. Raises UserError if that fails."""
    data = found["train sequnet"]["data"]
    steps = " and ".join(f"{found[f'train {network}']['steps']:,}" for network in NETWORKS)
    recordings = Path(data["audio_dir"]).name if data["audio_dir"] else data["dataset"]
    seconds = found["test sequnet"]["samples"] / data["sample_rate"]
    lines = [("", *NAMES.values(), "ratio", "claim"), ("---", "---:", "---:", "---:", "---"), *table(found)]
    text = [
        "# Seq-U-Net and WaveNet",
        "\n".join(f"| {' | '.join(cells)} |" for cells in lines),
        CLAIM,
        worse_than_bigram(found),
        f"Trained on {recordings} for {steps} steps of {data['batch_size']} x {data['output_size']:,} targets, tested "
        f"on {seconds:,.0f} s, {found['evaluate sequnet']['clips']} clips of each network. Speeds are "
        "measured after training, both networks in alternation: the median of training, the best of sampling: "
        f"{found['training']['device']}, torch {found['training']['torch']}, sampling engine "
        f"{found['sampling']['engine']}.",
        f"    {command}",
        "Learning curves, clips and settings: [report.html](report.html)",
    ]
    atomic.write_text(folder / "report.md", "\n\n".join(filter(None, text)) + "\n")
    write_comparison(folder / "report.html", [Path(found[f"train {network}"]["run"]) for network in NETWORKS])


def _train_py(run: Path, *words: str) -> None:
    _run(str(_ROOT / "train.py"), *words, f"--log_dir={run.parents[1]}", f"--name={run.name}")


def _run(*command: str) -> None:
    """Run a command of this project. Raises SystemExit with its status if it fails, UserError if it was killed."""
    process = subprocess.Popen([sys.executable, *command])
    try:
        status = process.wait()
    except BaseException:  # Ctrl-C or SIGTERM: it saves first
        process.terminate()
        process.wait()
        raise
    if status < 0:
        name = Path(command[0]).name
        raise UserError(f"{name} was ended by signal {-status} (out of memory?); the same command continues")
    if status:
        raise SystemExit(status)


if __name__ == "__main__":
    exit_main("comparison", main, sys.argv[1:])
