"""Settings in YAML: what configs say, one after the other, so that what is decided from flags looks there too."""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from sequnet_pl.cli.loader import load
from sequnet_pl.errors import UsageError
from sequnet_pl.names import CLASS_PATHS
from sequnet_pl.project import CONFIGS

GROUPS = ("data", "trainer")
"""Groups of settings that can be a config of their own."""


def settings_of(configs: Iterable[str]) -> dict[str, Any]:
    """What configs set by dotted name, a later one over an earlier one; each the path of a file, or YAML itself.

    UsageError for one that cannot be read.
    """
    settings: dict[str, Any] = {}
    for config in configs:
        settings |= dict(_leaves(read(config), ""))
    return settings


def network_of(settings: Mapping[str, Any]) -> str | None:
    """The network that settings name; None where they name none of ours."""
    given = settings.get("model.class_path", settings.get("model"))
    return next((name for name, class_path in CLASS_PATHS.items() if class_path == given), None)


def find(config: str) -> str:
    """A config as it can be read from here: `configs/NAME` is also one of ours, where no file here has that name."""
    ours = {f"configs/{path.name}": str(path) for path in CONFIGS.glob("*.yaml")}
    return ours[config] if config in ours and not Path(config).exists() else config


def read(config: str, folder: Path = Path()) -> dict[str, Any]:
    """The settings of a config, with those groups of them in place that it names as files beside it."""
    text, called = config, config
    if not config.lstrip().startswith("{"):
        called = f"the config {folder / config}"
        try:
            text = (folder / config).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            wrong = getattr(error, "strerror", None) or error
            raise UsageError(f"cannot read {called}: {wrong}{_meant(config)}") from error
    try:
        settings = load(text) or {}
    except (yaml.YAMLError, ValueError) as error:
        raise UsageError(f"{called} is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(settings, dict):
        raise UsageError(f"{called} holds no settings: write `name: value`, one a line")
    for group in GROUPS:
        if isinstance(settings.get(group), str):
            settings[group] = read(settings[group], (folder / config).parent)
    return settings


def _meant(config: str) -> str:
    """The question whether one of ours was meant, or nothing."""
    close = difflib.get_close_matches(Path(config).stem, [path.stem for path in CONFIGS.glob("*.yaml")], n=1)
    return f"; did you mean configs/{close[0]}.yaml?" if close else ""


def _leaves(settings: Mapping[Any, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, dict) and value and name != "callbacks":  # which may be one or a list
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
