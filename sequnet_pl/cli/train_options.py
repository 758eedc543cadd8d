"""The options of train.py, and the settings that a command line comes to."""

import argparse
import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl
from jsonargparse import Namespace
from jsonargparse.typing import NonNegativeInt, restricted_number_type
from pytorch_lightning.callbacks import ModelCheckpoint

from sequnet_pl.cli.configs import network_of, read_config
from sequnet_pl.cli.parsing import Parser
from sequnet_pl.cli.resolve import Start, find_checkpoint, settings_of_checkpoint, start_from
from sequnet_pl.data.datamodule import AudioDataModule
from sequnet_pl.errors import UsageError
from sequnet_pl.names import CLASS_PATHS
from sequnet_pl.project import CONFIGS, command, program
from sequnet_pl.training.health import NonFinite
from sequnet_pl.training.module import MODULES, AudioModule
from sequnet_pl.training.sampling import SampleAudio
from sequnet_pl.training.saving import LastCheckpoint

COMMANDS = ("fit", "validate", "test")
_Share = restricted_number_type("share", float, [(">=", 0), ("<", 1)])
_SOURCES = ("audio_dir", "audio_list", "recordings", "builtin_takes")
_TRAINER = {  # short names
    "max_epochs": "epochs",
    "max_steps": "max_steps",
    "precision": "precision",
    "gradient_clip_val": "clip",
    "log_every_n_steps": "log_interval",
    "num_nodes": "num_nodes",
}
_TRAINER_DEFAULTS = {
    "devices": 1,
    "logger": False,  # see --logger
    "use_distributed_sampler": False,  # the loaders shard without repeats
    "num_sanity_val_steps": 0,
    "enable_model_summary": False,  # a line says what there is to say
}


@dataclass
class Request:
    """What a command line asks for."""

    command: str
    network: str
    settings: Namespace
    parser: Parser
    checkpoint: Path | None
    start: Start | None
    again: bool  # whether a run that has no checkpoint yet may begin again
    print_config: bool


def _first(argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """What decides which other options there are, and the words that are left."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False, usage=argparse.SUPPRESS)
    parser.add_argument("--model", "--model.class_path")
    parser.add_argument("--config", "-c", action="append", default=[])
    parser.add_argument("--print_config", action="store_true")
    parser.add_argument("--help", "-h", action="store_true")
    parser.add_argument("--layers", type=int)  # which a published WaveNet does not tell
    for name in ("ckpt_path", "init_from", "log_dir", "name"):
        parser.add_argument(f"--{name}")
    try:
        return parser.parse_known_args(argv)
    except argparse.ArgumentError as error:
        raise UsageError(str(error)) from error


def train_parser(network: str, brief: bool = False) -> Parser:
    """All options, with the defaults of one network."""
    usage = (
        f"{command('train')} [fit|validate|test] (--model sequnet|wavenet | --config FILE | --ckpt_path PATH) [options]"
    )
    parser = Parser(prog=program("train"), usage=usage, brief=brief)
    parser.option("--model.class_path", type=str, default=CLASS_PATHS[network], help="Which network: see --model.")
    module = MODULES[network]
    for source in (module, AudioModule):  # the shape of the network, then how it learns
        parser.signature("model.init_args", source, {name: name for name in inspect.signature(source).parameters})
    data = {name: name for name in inspect.signature(AudioDataModule).parameters if name != "seed"}
    parser.signature("data", AudioDataModule, data)
    run = parser.add_argument_group("run")
    for name, kind, default, text in (
        ("seed_everything", int, 0, "Of the weights at the start, and of all other random numbers."),
        ("log_dir", str, "logs", "Root of the run folders."),
        ("name", str, "", "Name of the run; date and time by default."),
        ("snapshot_dir", str, None, "Folder of the checkpoints, instead of the run's checkpoints/."),
        ("threads", int | None, None, "CPU threads of each process."),
        ("init_from", str, None, "Begin with these weights."),
        ("ckpt_path", str, None, "Go on from, or score, a checkpoint: a path, last, best, or auto."),
        ("weights_only", bool | None, None, "Has no use here."),
        ("logger", Literal["wandb", "tensorboard", "none"], "wandb", "Beside the CSV file."),
        ("log_model", bool, False, "Give W&B the best checkpoint at the end."),
        ("gpu_precision", str, None, "Precision of a fit on a GPU that computes in bfloat16."),
    ):
        switch = {"nargs": "?", "const": True} if kind is bool else {}
        parser.option(f"--{name}", group=run, type=kind, default=default, help=text, **switch)
    shorthand = parser.add_argument_group("shorthand")
    parser.option(
        "--gpus", group=shorthand, type=NonNegativeInt, help="0 is the CPU; without it one GPU if there is one."
    )
    parser.option("--cuda", group=shorthand, dest="gpus", action="store_const", const=1, help="The same as --gpus 1.")
    parser.option("--seed", group=shorthand, type=NonNegativeInt, help="Of weights and crops.")
    parser.option(
        "--early_stopping", group=shorthand, type=NonNegativeInt, help="Stop when N validations in a row bring nothing."
    )
    parser.option("--ema", group=shorthand, type=_Share, help="Validate, save and sample averaged weights.")
    best = {
        "monitor": "val/bits_per_sample",
        "filename": "best-step{step:08d}",
        "auto_insert_metric_name": False,
        "enable_version_counter": False,  # a step that is done again has the same name
    }
    parser.signature("best", ModelCheckpoint, {"save_top_k": "keep"}, best)
    parser.signature("last", LastCheckpoint, {})
    parser.signature("sample_audio", SampleAudio, {})
    parser.signature("nonfinite", NonFinite, {"skip": "skip_nonfinite"})
    parser.signature("trainer", pl.Trainer, _TRAINER, _TRAINER_DEFAULTS)
    return parser


def read_command_line(argv: Sequence[str]) -> Request:
    """Everything that a command line asks for. UsageError where it makes no sense, UserError where files lack."""
    asked, words = (argv[0], argv[1:]) if argv and argv[0] in COMMANDS else ("fit", argv)
    first, rest = _first(words)
    if first.help:
        train_parser(first.model if first.model in MODULES else "sequnet", brief=words is argv).print_help()
        raise SystemExit(0)
    configs = [(f"the config {name}", read_config(name)) for name in first.config]
    named = {name: getattr(first, name) for name in ("ckpt_path", "init_from", "log_dir", "name")}
    merged = {name: value for _, settings in configs for name, value in settings.items()}
    merged |= {name: value for name, value in named.items() if value is not None}
    network = _network(first.model, configs)
    checkpoint = find_checkpoint(merged, network, asked)
    start = (
        start_from(merged, network, first.layers)
        if asked == "fit" and not checkpoint and merged.get("init_from")
        else None
    )
    if checkpoint:
        found, base = settings_of_checkpoint(checkpoint, Path(merged.get("log_dir") or "logs"))
        if network not in (None, found):
            raise UsageError(f"--model {network}, but {checkpoint} is a checkpoint of {found}; leave --model out")
        network = found
    else:
        network = network or (start.network if start else None)
        if network is None:
            raise UsageError(f"name a model: --model {' or --model '.join(CLASS_PATHS)}, or a --config that does")
        base = (
            {}
            if any(network_of(settings) for _, settings in configs)
            else read_config(str(CONFIGS / f"{network}.yaml"))
        )
    layers = [("the run's config.yaml" if checkpoint else "", base), *configs]
    parser = train_parser(network)
    if first.layers is not None:
        rest += ["--layers", str(first.layers)]
    other = next(name for name in MODULES if name != network)
    for name in (
        inspect.signature(MODULES[other]).parameters.keys() - inspect.signature(MODULES[network]).parameters.keys()
    ):
        if any(word.partition("=")[0] == f"--{name}" for word in rest):
            raise UsageError(f"--{name} belongs to {other}, but the model is {network}")
    given = {name: value for name, value in named.items() if value is not None}
    below = parser.values([], layers)
    settings = parser.values(rest, [*layers, ("", given)])
    typed = parser.parse_args(rest, defaults=False).get("data") or {}
    if sources := [name for name in ("dataset", *_SOURCES) if name in typed]:  # flags say which recordings: no others
        kept = ["builtin_takes"] if sources == ["dataset"] and settings.data.dataset == "builtin" else sources
        for name in set(_SOURCES) - set(kept):
            settings.data[name] = None
    _shorthand(settings, below)
    if start:
        start.apply(settings, below)
    again = named["ckpt_path"] == "auto"
    settings.ckpt_path = str(checkpoint) if checkpoint else None
    settings.init_from = str(start.path) if start else settings.init_from
    return Request(asked, network, settings, parser, checkpoint, start, again, first.print_config)


def _network(given: str | None, configs: Sequence[tuple[str, dict[str, Any]]]) -> str | None:
    """The network that --model or a config names. UsageError where they differ, or for another."""
    configured = [(name, found) for name, settings in configs if (found := network_of(settings))]
    if given is None:
        return configured[-1][1] if configured else None
    network = network_of({"model": given})
    if network is None:
        raise UsageError(f"there is no model {given}: choose {' or '.join(CLASS_PATHS)}")
    for name, found in configured:
        if found != network:
            raise UsageError(f"--model {network}, but {name} is one of {found}; leave one of them out")
    return network


def _shorthand(settings: Namespace, below: Namespace) -> None:
    """Options that stand for several settings."""
    gpus, seed, patience, decay = (settings.pop(name) for name in ("gpus", "seed", "early_stopping", "ema"))
    if gpus is not None:
        settings.trainer.accelerator = "gpu" if gpus else "cpu"
        if gpus or (settings.trainer.devices == below.trainer.devices != 1 and below.trainer.accelerator != "cpu"):
            settings.trainer.devices = int(gpus) or 1
    if seed is not None:
        settings.seed_everything = settings.data.seed = int(seed)
    callbacks = settings.trainer.callbacks or []
    callbacks = callbacks if isinstance(callbacks, list) else [callbacks]
    for given, path, arguments in (
        (
            patience,
            "pytorch_lightning.callbacks.EarlyStopping",
            {"monitor": "val/bits_per_sample", "patience": int(patience or 0)},
        ),
        (decay, "pytorch_lightning.callbacks.EMAWeightAveraging", {"decay": float(decay or 0)}),
    ):
        if given is not None:
            callbacks = [each for each in callbacks if each.class_path.rpartition(".")[2] != path.rpartition(".")[2]]
            callbacks.append(Namespace(class_path=path, init_args=Namespace(arguments)))
    settings.trainer.callbacks = callbacks or None
