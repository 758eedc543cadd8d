"""The options of train.py, and the settings that a command line results in."""

import argparse
import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, Literal

import pytorch_lightning as pl
from jsonargparse import Namespace
from jsonargparse.typing import restricted_number_type
from pytorch_lightning.callbacks import EarlyStopping, EMAWeightAveraging, ModelCheckpoint

from sequnet_pl.cli.configs import network_of, read_config
from sequnet_pl.cli.parsing import Parser
from sequnet_pl.cli.resolve import adopt_shape, find_checkpoint, settings_of_checkpoint
from sequnet_pl.data.datamodule import AudioDataModule
from sequnet_pl.errors import UsageError
from sequnet_pl.limits import NonNegativeInt, PositiveFloat, PositiveInt
from sequnet_pl.models import registry
from sequnet_pl.project import CONFIGS, command, program
from sequnet_pl.training.health import NonFinite
from sequnet_pl.training.module import AudioModule
from sequnet_pl.training.run import Job
from sequnet_pl.training.sampling import SampleAudio
from sequnet_pl.training.saving import LastCheckpoint
from sequnet_pl.training.trained import start_weights

COMMANDS = ("fit", "validate", "test")
_Share = restricted_number_type("number from 0 to below 1", float, [(">=", 0), ("<", 1)])
_SOURCES = ("audio_dir", "audio_list", "recordings", "builtin_takes")
_TRAINER = {  # short names of its options, and their descriptions
    "max_epochs": (
        "epochs",
        "Number of epochs, each with one crop per `hop_size` samples of the recordings; -1 is no limit.",
    ),
    "max_steps": ("max_steps", "Number of training steps; -1 is no limit."),
    "precision": (
        "precision",
        "32-true, bf16-mixed or 64-true; by default bf16-mixed where it is faster on the device.",
    ),
    "gradient_clip_val": ("clip", "Largest norm of the gradients; larger gradients are scaled down."),
    "log_every_n_steps": ("log_interval", "Steps between two rows of metrics.csv."),
    "num_nodes": ("num_nodes", "Number of machines."),
}
_TRAINER_DEFAULTS = {
    "devices": 1,
    "max_epochs": 10,
    "logger": False,  # see --logger
    "use_distributed_sampler": False,  # the loaders shard without repeats
    "num_sanity_val_steps": 0,
    "enable_model_summary": False,  # one line is printed instead
}
_LENGTH = {"trainer.max_epochs": -1, "trainer.max_steps": -1, "trainer.max_time": None, "minutes": None}
"""Options of the length of a run, with their values without a limit: those of a layer replace all before."""
_OPTIONS: tuple[tuple[str, str, Any, Any, str], ...] = (
    ("run", "seed_everything", int, 0, "Seed of the initial weights."),
    ("run", "log_dir", str, "logs", "Root of the run folders."),
    ("run", "name", str, "", "Name of the run; date and time by default."),
    ("run", "snapshot_dir", str, None, "Folder of the checkpoints instead of checkpoints/ in the run folder."),
    ("run", "threads", PositiveInt | None, None, "CPU threads of each process; torch chooses by default."),
    ("run", "init_from", str, None, "Start a new run from weights: a checkpoint, a folder, or a bundled network."),
    ("run", "ckpt_path", str, None, "Resume from, or score, a checkpoint: a path, last, best, or auto."),
    ("run", "weights_only", bool | None, None, "Not used: checkpoints are always loaded as numbers only."),
    ("run", "logger", Literal["wandb", "tensorboard", "none"], "wandb", "Logger beside the CSV file."),
    ("run", "log_model", bool, False, "Upload the best checkpoint to W&B at the end."),
    ("run", "score_labels", int | Literal["all"], 300, "Most test recordings to score with each label, or `all`."),
    ("run", "gpu_precision", str, None, "Precision on a GPU that computes in bfloat16, without --precision."),
    ("shorthand", "gpus", NonNegativeInt, None, "Number of GPUs, 0 for the CPU; by default 1 if there is one."),
    ("shorthand", "minutes", PositiveFloat, None, "Minutes of training; such a run does not resume bit for bit."),
    ("shorthand", "seed", int, None, "Seed of weights and crops."),
    ("shorthand", "early_stopping", NonNegativeInt, None, "Stop after N validations without an improvement."),
    ("shorthand", "ema", _Share, None, "Decay of an average of the weights that is validated, saved and sampled."),
)
_EXAMPLES = """\
Also: --config FILE (YAML; flags win; configs/demo.yaml and others are found anywhere), --print_config, --version.
Options of another network: COMMAND --model sashimi --help. All options, Lightning's too: COMMAND fit --help.

  COMMAND --model sequnet --gpus 1                      train on the published piano recordings
  COMMAND --model wavenet --audio_dir FOLDER --gpus 0   train on a folder of audio, on the CPU
  COMMAND --config configs/demo.yaml                    train a small network in minutes
  COMMAND --init_from CHECKPOINT --audio_dir FOLDER     fine-tune a trained network
  COMMAND --model sequnet --ckpt_path last              resume the last run exactly
  COMMAND test --ckpt_path last                         score the test split of the last run
"""
_AT_LEAST = {"accumulate_grad_batches": 1, "check_val_every_n_epoch": 1, "num_nodes": 1, "gradient_clip_val": 0}
_NOT_ZERO = ("max_steps", "max_epochs", "val_check_interval")
_WHERE = ("ckpt_path", "init_from", "log_dir", "name")
"""Options that lead to a checkpoint, and so to further settings."""


@dataclass
class Request:
    """The task, the settings and the parser of a command line."""

    job: Job
    parser: Parser
    again: bool  # whether a run that has no checkpoint yet may start from scratch
    print_config: bool


def train_parser(network: str, brief: bool = False) -> Parser:
    """Return the parser of all options, with the defaults of one network; `brief` shortens its help."""
    models = "|".join(registry.NETWORKS)
    usage = f"{command('train')} [fit|validate|test] (--model {models} | --config FILE | --ckpt_path PATH) [options]"
    parser = Parser(prog=program("train"), usage=usage, brief=brief)
    class_path = registry.NETWORKS[network].class_path
    if not brief:
        parser.option("--model.class_path", type=str, default=class_path, help="Class of the network: see --model.")
    for title, source in (("network", registry.network_class(network)), ("training", AudioModule)):
        short = {name: name for name in inspect.signature(source).parameters if name != "label_names"}
        parser.signature("model.init_args", source, short, title=title)
    data = {name: name for name in inspect.signature(AudioDataModule).parameters if name != "seed"}
    parser.signature("data", AudioDataModule, data)
    groups = {title: parser.add_argument_group(title) for title in ("run", "shorthand")}
    for title, name, kind, default, text in _OPTIONS:
        parser.option(f"--{name}", group=groups[title], annotation=kind, default=default, help=text)
    cuda: dict[str, Any] = {"dest": "gpus", "action": "store_const", "const": 1, "help": "The same as --gpus 1."}
    parser.option("--cuda", group=groups["shorthand"], **cuda)
    best = {
        "monitor": "val/bits_per_sample",
        "filename": "best-step{step:08d}",
        "auto_insert_metric_name": False,
        "enable_version_counter": False,  # a step that is repeated overwrites its checkpoint
    }
    kept = {"save_top_k": "Number of best checkpoints to keep; -1 keeps all."}
    parser.signature("best", ModelCheckpoint, {"save_top_k": "keep"}, best, docs=kept)
    parser.signature("last", LastCheckpoint, {})
    parser.signature("sample_audio", SampleAudio, {})
    parser.signature("nonfinite", NonFinite, {"skip": "skip_nonfinite"})
    short = {name: names[0] for name, names in _TRAINER.items()}
    docs = {name: names[1] for name, names in _TRAINER.items()}
    parser.signature("trainer", pl.Trainer, short, _TRAINER_DEFAULTS, docs=docs)
    return parser


def help_text() -> str:
    """Return the help of `train.py --help`; train_help.txt has it, since the parser takes seconds to import."""
    parser = train_parser("sequnet", brief=True)
    parser.usage = str(parser.usage).replace(command("train"), "COMMAND")
    return f"{parser.format_help()}\n{_EXAMPLES}"


def read_command_line(argv: Sequence[str], launched_checkpoint: str | None = None) -> Request:
    """Return the task and the settings of a command line.

    Args:
        argv: The arguments.
        launched_checkpoint: In a process that another one has launched, the checkpoint that it found, or "".

    Raises:
        UsageError: The options are not valid or contradict each other.
        UserError: A checkpoint or a config is missing.
    """
    asked, words = (argv[0], argv[1:]) if argv and not argv[0].startswith("-") else ("fit", argv)
    if asked not in COMMANDS:
        raise UsageError(f"there is no command {asked}: choose fit, validate or test; sample.py generates audio")
    first, rest = _first(words)
    network = network_of({"model": first.model})
    if first.help:
        train_parser(network or "sequnet", brief=words is argv).print_help()
        raise SystemExit(0)
    configs = [(f"the config {name}", read_config(name)) for name in first.config]
    given = {name: value for name in _WHERE if (value := getattr(first, name)) is not None}
    merged = {name: value for _, settings in configs for name, value in settings.items()} | given
    for name in _WHERE:
        if not isinstance(merged.get(name), str | None):
            raise UsageError(f"{name} {merged[name]}: expected a text; put it in quotes")
    if launched_checkpoint is not None:
        merged["ckpt_path"] = launched_checkpoint or None
    configured = [found for _, settings in configs if (found := network_of(settings))]
    if network and any(found != network for found in configured):
        raise UsageError(f"--model {network}, but --config is one of {configured[0]}; leave one of them out")
    network = network or (configured[-1] if configured else None)
    if "init_from" in given and (asked != "fit" or given.get("ckpt_path") not in (None, "auto")):
        raise UsageError("--init_from starts a new run, and does not go with --ckpt_path, validate or test")
    checkpoint = find_checkpoint(merged, network, asked)
    starts = asked == "fit" and not checkpoint and merged.get("init_from")
    start = start_weights(merged["init_from"], first.layers) if starts else None
    base: dict[str, Any] = {}
    if checkpoint:
        found, base = settings_of_checkpoint(checkpoint, Path(merged.get("log_dir") or "logs"))
    else:
        found = start.name if start else network
    if found is None:
        raise UsageError(f"name a model: --model {' or --model '.join(registry.NETWORKS)}, or a --config that does")
    if network not in (None, found):
        raise UsageError(
            f"--model {network}, but {start.path if start else checkpoint} is of {found}; leave --model out"
        )
    network, published = found, CONFIGS / f"{found}.yaml"
    if not checkpoint and not configured and published.exists():
        base = read_config(str(published))
    layers = [(f"the settings of {checkpoint}" if checkpoint else "", base), *configs]
    parser = train_parser(network)
    parser.names |= {f"--{name}": name for name in vars(first)}
    if first.layers is not None:
        rest += ["--layers", str(first.layers)]
    below = parser.values([], layers, _LENGTH)
    settings = parser.values(rest, [("", given)], _LENGTH, below.clone())
    flags = parser.given(rest)
    _choose_recordings(settings, flags)
    fixed = {"trainer.accelerator", "trainer.devices"} if settings.gpus else {"trainer.accelerator"}
    if "gpus" in flags and (clash := flags & fixed):
        raise UsageError(f"--gpus sets --{sorted(clash)[0]}: leave one of them out")
    _shorthand(settings, below)
    _check_trainer(settings, asked)
    if start:
        adopt_shape(start, settings, flags)
        settings.init_from = str(start.path)
    settings.ckpt_path = str(checkpoint) if checkpoint else None
    job = Job(asked, network, settings, checkpoint, start)
    return Request(job, parser, given.get("ckpt_path") == "auto", first.print_config)


def _first(argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Return the options that decide which others exist, and the remaining arguments. UsageError for empty values."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False, usage=argparse.SUPPRESS)
    parser.add_argument("--model", "--model.class_path")
    parser.add_argument("--config", action="append", default=[])
    parser.add_argument("--print_config", action="store_true")
    parser.add_argument("--help", "-h", action="store_true")
    parser.add_argument("--layers", type=int)  # not stored in a published WaveNet
    for name in _WHERE:
        parser.add_argument(f"--{name}")
    try:
        first, rest = parser.parse_known_args(argv)
    except argparse.ArgumentError as error:
        raise UsageError(str(error)) from error
    if empty := [name for name, value in vars(first).items() if value == ""]:
        raise UsageError(f"--{empty[0]} has an empty value")
    return first, rest


def _choose_recordings(settings: Namespace, given: set[str]) -> None:
    """Let flags that choose recordings replace those that a config chooses. UsageError for a folder that is no text."""
    folders = settings.data.audio_dir
    for folder in folders if isinstance(folders, list) else [folders]:
        if not isinstance(folder, str | None):
            raise UsageError(f"audio_dir {folder}: expected a text; put it in quotes")
    if sources := [name for name in ("dataset", *_SOURCES) if f"data.{name}" in given]:
        kept = ["builtin_takes"] if sources == ["dataset"] and settings.data.dataset == "builtin" else sources
        for name in set(_SOURCES) - set(kept):
            settings.data[name] = None
        if not {"audio_dir", "audio_list"} & set(sources) and "data.labels" not in given:
            settings.data.labels = None
        if "audio_dir" not in sources and "data.audio_weights" not in given:
            settings.data.audio_weights = None


def _shorthand(settings: Namespace, below: Namespace) -> None:
    """Replace options that set several settings by these. UsageError where they are not valid."""
    names = ("gpus", "minutes", "seed", "early_stopping", "ema")
    gpus, minutes, seed, patience, decay = (settings.pop(name) for name in names)
    if minutes is not None:
        if settings.trainer.max_time is not None:
            raise UsageError("--minutes sets --trainer.max_time: leave one of them out")
        settings.trainer.max_time = _clock(minutes)
    if gpus is not None:
        settings.trainer.accelerator = "gpu" if gpus else "cpu"
        if gpus or (settings.trainer.devices == below.trainer.devices != 1 and below.trainer.accelerator != "cpu"):
            settings.trainer.devices = int(gpus) or 1
    if seed is not None:
        settings.seed_everything = settings.data.seed = seed
    for name in ("seed_everything", "data.seed", "sample_audio.seed"):
        if not 0 <= settings[name] < 2**32:
            raise UsageError(f"--{'seed' if seed is not None else name} is {settings[name]}, but must be 0 to 2^32 - 1")
    stopping = {"monitor": "val/bits_per_sample", "patience": int(patience or 0), "strict": False}
    _set_callback(settings, EarlyStopping, patience, stopping)
    _set_callback(settings, EMAWeightAveraging, decay, {"decay": float(decay or 0)})


def _clock(minutes: float) -> str:
    """Return a time as DD:HH:MM:SS, of at least a second."""
    seconds = max(1, round(60 * minutes))
    return f"{seconds // 86400:02}:{seconds // 3600 % 24:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def _set_callback(settings: Namespace, kind: type[pl.Callback], given: Any, arguments: dict[str, Any]) -> None:
    """Add a callback to the trainer's in place of one of the same class, if its option is given."""
    if given is None:
        return
    callbacks = settings.trainer.callbacks or []
    callbacks = callbacks if isinstance(callbacks, list) else [callbacks]
    callbacks = [each for each in callbacks if resolve_name(each.class_path) is not kind]
    path = f"pytorch_lightning.callbacks.{kind.__name__}"
    settings.trainer.callbacks = [*callbacks, Namespace(class_path=path, init_args=Namespace(arguments))]


def _check_trainer(settings: Namespace, asked: str) -> None:
    """Raise UsageError for a number that the Trainer accepts, but that ends in a traceback or leaves nothing to do."""
    trainer = settings.trainer
    for name, least in _AT_LEAST.items():
        value = trainer[name]
        if isinstance(value, (int, float)) and value < least:
            raise UsageError(f"{_flag(name)} is {value:g}, but must be {least} or more")
    for name in _NOT_ZERO:
        if trainer[name] == 0:
            raise UsageError(f"{_flag(name)} is 0; leave it out or give a number above 0")
    stage = {"fit": "train", "validate": "val", "test": "test"}[asked]
    if trainer[f"limit_{stage}_batches"] == 0:
        raise UsageError(f"{_flag(f'limit_{stage}_batches')} is 0, which leaves nothing to {asked}")
    if str(trainer.strategy).rpartition("_")[2] in ("spawn", "fork", "notebook"):
        raise UsageError(f"--trainer.strategy {trainer.strategy} is not supported: use ddp")
    if trainer.logger:
        raise UsageError("--trainer.logger is not used: --logger chooses wandb, tensorboard or none")


def _flag(name: str) -> str:
    return f"--{_TRAINER[name][0] if name in _TRAINER else f'trainer.{name}'}"
