"""Settings in YAML files."""

from pathlib import Path
from typing import Any

import yaml

from sequnet_pl.cli.parsing import did_you_mean
from sequnet_pl.errors import UsageError
from sequnet_pl.names import CLASS_PATHS
from sequnet_pl.project import CONFIGS


def read_config(name: str) -> dict[str, Any]:
    """The settings of a file; `configs/NAME` is also one of ours, where no file here has that name. UsageError."""
    path, ours = Path(name), {f"configs/{path.name}": path for path in CONFIGS.glob("*.yaml")}
    path = ours[name] if name in ours and not path.exists() else path
    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except OSError as error:
        raise UsageError(f"cannot read the config {name}: {error.strerror}{did_you_mean(name, ours)}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise UsageError(f"the config {name} is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(settings, dict):
        raise UsageError(f"the config {name} holds no settings: write `name: value`, one a line")
    if isinstance(settings.get("model"), str):
        settings["model"] = {"class_path": settings["model"]}
    return settings


def network_of(settings: dict[str, Any]) -> str | None:
    """The network that settings name; None where they name none of ours."""
    model = settings.get("model") or {}
    given = model.get("class_path") if isinstance(model, dict) else model
    return next((name for name, class_path in CLASS_PATHS.items() if given in (name, class_path)), None)
