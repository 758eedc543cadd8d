"""Short names to LightningCLI's own: rewriting the command line of train.py, before anything is parsed.

Rewriting twice gives what rewriting once does, since processes that Lightning launches run the command again.
"""

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml

from sequnet_pl.cli.configs import CONFIGS
from sequnet_pl.cli.run_name import job_name, new_name
from sequnet_pl.errors import UsageError, UserError
from sequnet_pl.names import CLASS_PATHS
from sequnet_pl.training import checkpoints
from sequnet_pl.training.module import REVISABLE

SUBCOMMANDS = ("fit", "validate", "test", "predict")

_DATA = {
    "dataset": "dataset",
    "audio_dir": "audio_dir",
    "dataset_dir": "audio_dir",
    "audio_list": "audio_list",
    "recordings": "recordings",
    "data_dir": "data_dir",
    "sample_rate": "sample_rate",
    "sr": "sample_rate",
    "channel": "channel",
    "loudness": "loudness",
    "skip_silence": "skip_silence",
    "store_workers": "store_workers",
    "output_size": "output_size",
    "batch_size": "batch_size",
    "hop_size": "hop_size",
    "num_workers": "num_workers",
    "val_hours": "val_hours",
}
_TRAINER = {
    "epochs": "max_epochs",
    "max_steps": "max_steps",
    "precision": "precision",
    "clip": "gradient_clip_val",
    "log_interval": "log_every_n_steps",
    "num_nodes": "num_nodes",
}
_TRAINING = ("lr", "eps", "beta2", "weight_decay", "warmup", "anneal", "code_frequency", *REVISABLE)
_SWITCHES = ("anneal", *REVISABLE)
_MODELS = {
    "sequnet": ("levels", "features", "depth", "kernel_size", *_TRAINING),
    "wavenet": (
        "layers",
        "blocks",
        "dilation_channels",
        "residual_channels",
        "skip_channels",
        "kernel_size",
        *_TRAINING,
    ),
}
SHORT = {name: f"data.{key}" for name, key in _DATA.items()} | {
    name: f"trainer.{key}" for name, key in _TRAINER.items()
}
SHORT |= {"keep": "best.save_top_k", "skip_nonfinite": "nonfinite.skip"}
"""Short names, and what LightningCLI calls them."""
SPECIAL = ("model", "gpus", "cuda", "seed", "early_stopping", "ema")
"""Short names that stand for more than one thing."""


def rewrite(argv: Sequence[str]) -> list[str]:
    """The command line in LightningCLI's own words. UsageError for flags that do not go together."""
    arguments = list(argv)
    subcommand = arguments.pop(0) if arguments and arguments[0] in SUBCOMMANDS else "fit"
    pairs = _pairs(arguments)
    if any(name in ("help", "-h") for name, _ in pairs):
        return [subcommand, *arguments]
    model = _model(pairs)
    checkpoint = _checkpoint(pairs, model, subcommand)
    base, model = _base(pairs, model, checkpoint, subcommand)
    rest = [word for name, value in pairs for word in _words(name, value, model)]
    rest += _other_recordings(pairs)
    if checkpoint:
        rest.append(f"--ckpt_path={checkpoint}")
    names = {name for name, _ in pairs}
    if not names & {"gpus", "cuda", "trainer.accelerator"} and not checkpoint:
        rest.append(f"--trainer.accelerator={'gpu' if torch.cuda.is_available() else 'cpu'}")
        if torch.cuda.is_available():
            rest.append("--trainer.devices=1")
    if "name" not in names and not checkpoint:
        nodes = _value(pairs, "num_nodes") or _value(pairs, "trainer.num_nodes") or "1"
        rest.append(f"--name={new_name(_whole('num_nodes', nodes))}")
    return [subcommand, *base, *rest]


def _pairs(arguments: Sequence[str]) -> list[tuple[str, str | None]]:
    """Names without dashes, and their values; a value without a name stands under the name ''."""
    pairs: list[tuple[str, str | None]] = []
    waiting = False
    for word in arguments:
        if word.startswith("-") and not _is_number(word):
            name, equals, value = word.partition("=")
            pairs.append((name[2:] if name.startswith("--") else name, value if equals else None))
            waiting = not equals
        elif waiting:
            pairs[-1] = (pairs[-1][0], word)
            waiting = False
        else:
            pairs.append(("", word))
    return [(name if name != "-c" else "config", value) for name, value in pairs]


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _value(pairs: Iterable[tuple[str, str | None]], name: str) -> str | None:
    """The last value given to a name."""
    return next((value for key, value in reversed(list(pairs)) if key == name), None)


def _model(pairs: Sequence[tuple[str, str | None]]) -> str | None:
    """The network that --model names, in either way."""
    given = _value(pairs, "model")
    if given is None:
        return None
    for name, class_path in CLASS_PATHS.items():
        if given in (name, class_path):
            return name
    meant = difflib.get_close_matches(given, CLASS_PATHS, n=1)
    hint = f"; did you mean {meant[0]}?" if meant else ""
    raise UsageError(f"there is no model {given}: choose {' or '.join(CLASS_PATHS)}{hint}")


def _checkpoint(pairs: Sequence[tuple[str, str | None]], model: str | None, subcommand: str) -> Path | None:
    """The checkpoint to go on from or to score; `last`, `best` and `auto` are looked up."""
    given = _value(pairs, "ckpt_path")
    if given is None:
        if subcommand != "fit":
            raise UsageError(f"name what to {subcommand}: --ckpt_path last, best or a path")
        return None
    root, name = Path(_value(pairs, "log_dir") or "logs"), _value(pairs, "name")
    if given in ("last", "best"):
        run = checkpoints.newest_run(root, model, name)
        return run.last if given == "last" else checkpoints.best_of(run)
    if given == "auto" and subcommand == "fit":
        try:
            return checkpoints.newest_run(root, model, name or job_name()).last
        except UserError:
            return None
    return Path(given)


def _base(
    pairs: Sequence[tuple[str, str | None]], model: str | None, checkpoint: Path | None, subcommand: str
) -> tuple[list[str], str]:
    """What the given flags differ from: a run's own settings, or the published ones; and which model it is."""
    configs = [value for name, value in pairs if name == "config" and value]
    named = [name for path in configs if (name := _model_of_config(Path(path)))]
    if checkpoint:
        content = checkpoints.read(checkpoint)
        of_checkpoint = checkpoints.network_name(content, checkpoint)
        if model not in (None, of_checkpoint):
            raise UsageError(f"--model {model}, but {checkpoint} is a checkpoint of {of_checkpoint}; leave --model out")
        if configs or _value(pairs, "model") not in (None, *CLASS_PATHS):
            return [], of_checkpoint  # rewritten already, or somebody who knows what they do
        run = checkpoints.run_of_checkpoint(checkpoint, Path(_value(pairs, "log_dir") or "logs"))
        if run:
            return [f"--config={run.folder / 'config.yaml'}"], of_checkpoint
        return _from_hyper_parameters(content, of_checkpoint), of_checkpoint
    if model and named and named[-1] != model:
        raise UsageError(f"--model {model}, but {configs[-1]} is a config of {named[-1]}; leave one of them out")
    if named:
        return [], named[-1]
    if model is None:
        raise UsageError(f"name a model: --model {' or --model '.join(CLASS_PATHS)}, or a --config that does")
    return ([f"--config={CONFIGS / model}.yaml"] if _value(pairs, "model") == model else []), model


def _model_of_config(path: Path) -> str | None:
    try:
        settings: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the config {path}: {error}") from error
    except yaml.YAMLError as error:
        raise UsageError(f"the config {path} is no YAML: {' '.join(str(error).split())}") from error
    given = settings.get("model") if isinstance(settings, dict) else None
    path_of_class = given.get("class_path") if isinstance(given, dict) else given
    return next((name for name, known in CLASS_PATHS.items() if known == path_of_class), None)


def _from_hyper_parameters(content: dict[str, Any], model: str) -> list[str]:
    """The settings of a checkpoint that has lost its run folder."""
    words = [f"--model={CLASS_PATHS[model]}"]
    words += [f"--model.init_args.{k}={v}" for k, v in checkpoints.hyper_parameters(content).items() if v is not None]
    data = checkpoints.hyper_parameters(content, "datamodule_hyper_parameters")
    return words + [f"--data.{key}={value}" for key, value in data.items() if value is not None]


def _words(name: str, value: str | None, model: str) -> list[str]:
    """One flag in LightningCLI's words."""
    if name == "":
        raise UsageError(f"what is {value!r}? Values follow a flag, as in --levels 8")
    if name == "ckpt_path" or (name == "model" and value in CLASS_PATHS):
        return []  # the looked-up path and the base say it
    owners = [owner for owner, names in _MODELS.items() if name in names]
    if owners and model not in owners:
        raise UsageError(f"--{name} belongs to {owners[0]}, but the model is {model}{_meant(name, _MODELS[model])}")
    if owners:
        return [_joined(f"model.init_args.{name}", "true" if value is None and name in _SWITCHES else value)]
    if name in ("gpus", "cuda"):
        return _devices(1 if name == "cuda" and value is None else _whole(name, value))
    if name == "seed":
        return [_joined("seed_everything", value), _joined("data.seed", value)]
    if name == "early_stopping":
        return [
            "--trainer.callbacks+=EarlyStopping",
            "--trainer.callbacks.monitor=val/bits_per_sample",
            f"--trainer.callbacks.patience={_whole(name, value)}",
        ]
    if name == "ema":
        return ["--trainer.callbacks+=ScoredEMA", _joined("trainer.callbacks.decay", value)]
    return [_joined(SHORT.get(name, name), value)]


def _other_recordings(pairs: Sequence[tuple[str, str | None]]) -> list[str]:
    """Recordings that the line names stand in for those of a config or a checkpoint."""
    named = {SHORT.get(name, name) for name, _ in pairs}
    own = ("data.audio_dir", "data.audio_list", "data.recordings")
    return [f"--{name}=null" for name in own if name not in named] if named & {"data.dataset", *own} else []


def _joined(name: str, value: str | None) -> str:
    return f"--{name}" if value is None else f"--{name}={value}"


def _whole(name: str, value: str | None) -> int:
    if value is None or not value.isdecimal():
        raise UsageError(f"--{name} takes a whole number from 0, not {value}")
    return int(value)


def _devices(gpus: int) -> list[str]:
    if not gpus:
        return ["--trainer.accelerator=cpu"]
    found = torch.cuda.device_count()
    if found < gpus:
        raise UsageError(f"--gpus {gpus}, but this machine has {found} GPUs; --gpus 0 runs on the CPU")
    return ["--trainer.accelerator=gpu", f"--trainer.devices={gpus}"]


def _meant(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean --{close[0]}?" if close else ""


def unknown_flag(name: str, known: Iterable[str]) -> str:
    """What to say of a flag that there is not."""
    everything = [*SHORT, *SPECIAL, *(flag for names in _MODELS.values() for flag in names), *known]
    return f"there is no flag --{name}{_meant(name, everything)}"
