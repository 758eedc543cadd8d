"""Flags of train.py that stand for more than one setting, and those that say the same thing twice."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from sequnet_pl.cli.line import Flag
from sequnet_pl.errors import UsageError

_RECORDINGS = ("dataset", "audio_dir", "dataset_dir", "audio_list", "recordings")


def check_pairs(typed: Sequence[Flag]) -> None:
    """UsageError for flags that contradict each other."""
    given = {flag.name.removeprefix("data."): flag for flag in typed}
    where = [given[name] for name in _RECORDINGS if name in given]
    if len(where) > 1:
        both = " and ".join(f"--{name} {value}" for name, value in where)
        raise UsageError(f"{both} each say which recordings to take; keep one of them")


def devices(flags: Sequence[Flag], settings: Mapping[str, Any]) -> list[str]:
    """--gpus and --cuda. UsageError where they contradict other flags, or there are fewer GPUs."""
    given = dict(flags)
    counts = {name: _whole(name, given[name]) for name in ("gpus", "cuda") if given.get(name) is not None}
    if "cuda" in given:
        counts.setdefault("cuda", 1)
    if not counts:
        return []
    name, count = next(iter(counts.items()))
    accelerator, number = given.get("trainer.accelerator"), given.get("trainer.devices")
    other = None
    if len(set(counts.values())) > 1:
        other = f"--cuda, which is --gpus {counts['cuda']}"
    elif accelerator not in (None, "auto") and (accelerator == "cpu") == (count > 0):
        other = f"--trainer.accelerator {accelerator}"
    elif count and number not in (None, str(count)):
        other = f"--trainer.devices {number}"
    if other:
        raise UsageError(f"--{name} {count} contradicts {other}; keep one of them")
    if count:
        return ["--trainer.accelerator=gpu", f"--trainer.devices={_there(name, count)}"]
    keeps = number or settings.get("trainer.accelerator") == "cpu"  # else a config's number is one of GPUs
    return ["--trainer.accelerator=cpu", *([] if keeps else ["--trainer.devices=1"])]


def _there(name: str, count: int) -> int:
    import torch  # here, since nothing else on the line needs to know the machine

    if (found := torch.cuda.device_count()) < count:
        raise UsageError(f"--{name} {count}, but this machine has {found} GPUs; --gpus 0 runs on the CPU")
    return count


def seeds(flags: Sequence[Flag]) -> list[str]:
    """--seed: of the weights and of the crops."""
    given = dict(flags)
    if "seed" not in given:
        return []
    seed = _whole("seed", given["seed"])
    return [f"--seed_everything={seed}", f"--data.seed={seed}"]


def callbacks(flags: Sequence[Flag]) -> list[dict[str, Any]]:
    """--early_stopping and --ema, as configs have them."""
    given, found = dict(flags), []
    if "early_stopping" in given:
        patience = _whole("early_stopping", given["early_stopping"])
        arguments = {"monitor": "val/bits_per_sample", "patience": patience}
        found.append({"class_path": "pytorch_lightning.callbacks.EarlyStopping", "init_args": arguments})
    if "ema" in given:
        arguments = {"decay": _share("ema", given["ema"])}
        found.append({"class_path": "sequnet_pl.training.averaging.ScoredEMA", "init_args": arguments})
    return found


def replaced(there: Any, own: Sequence[dict[str, Any]]) -> list[Any]:
    """The callbacks of configs, those of the same class replaced."""
    anew = {_class(callback) for callback in own}
    there = there if isinstance(there, list) else [there] if there else []
    return [*(callback for callback in there if _class(callback) not in anew), *own]


def _class(callback: Any) -> str:
    path = callback.get("class_path", "") if isinstance(callback, dict) else callback
    return str(path).rpartition(".")[2]


def several(lists: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Flags with several values, as configs have them; a single weight too, but a single folder is a text."""
    found: dict[str, Any] = {name: list(values) for name, values in lists.items() if len(values) > 1}
    weights = lists.get("data.audio_weights", ())
    if weights and not _is_yaml(weights):
        found["data.audio_weights"] = [_number("audio_weights", weight) for weight in weights]
    return found


def _is_yaml(values: Sequence[str]) -> bool:
    """Whether one value says it all, as `[3, 1]` and `null` do."""
    return len(values) == 1 and (values[0] == "null" or values[0].startswith("["))


def _number(name: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise UsageError(f"--{name} takes numbers above 0, not {value}")
    return number


def _whole(name: str, value: str | None) -> int:
    if value is None or not value.isdecimal():
        raise UsageError(f"--{name} takes a whole number from 0, not {value}")
    return int(value)


def _share(name: str, value: str | None) -> float:
    try:
        share = float(value or "")
    except ValueError:
        share = -1.0
    if not 0 <= share < 1:
        raise UsageError(f"--{name} takes a number from 0 to below 1, not {value}")
    return share
