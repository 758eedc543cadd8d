"""Settings in YAML files."""

from pathlib import Path
from typing import Any

import yaml

from sequnet_pl.errors import UsageError, did_you_mean
from sequnet_pl.models import registry
from sequnet_pl.project import CONFIGS


class _UniqueKeyLoader(yaml.SafeLoader):
    """The safe loader, with an error for a repeated key, whose first value would be lost silently."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Return the dictionary of a node. ConstructorError where a key occurs twice."""
        written: set[str] = set()
        for key, _ in node.value:
            name = str(key.value)
            if name in written:
                raise yaml.constructor.ConstructorError(None, None, f"the key {name} occurs twice", key.start_mark)
            written.add(name)
        return super().construct_mapping(node, deep)


def read_config(name: str) -> dict[str, Any]:
    """Return the settings of a YAML file. UsageError where it cannot be read, or does not contain settings.

    `configs/NAME` also finds a config of the project, unless a file of that name exists here.
    """
    path, ours = Path(name), {f"configs/{path.name}": path for path in CONFIGS.glob("*.yaml")}
    path = ours[name] if name in ours and not path.exists() else path
    try:
        settings = _UniqueKeyLoader(path.read_text(encoding="utf-8")).get_single_data() or {}
    except OSError as error:
        raise UsageError(f"cannot read the config {name}: {error.strerror}{did_you_mean(name, ours)}") from error
    except (yaml.YAMLError, ValueError) as error:
        what = " ".join(str(error).split())
        if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
            what = f"{error.problem}, line {error.problem_mark.line + 1}"
        raise UsageError(f"the config {name} is not valid YAML: {what}") from error
    if not isinstance(settings, dict):
        raise UsageError(f"the config {name} contains no settings: write `name: value`, one on each line")
    if isinstance(settings.get("model"), str):
        settings["model"] = {"class_path": settings["model"]}
    model = settings.get("model")
    if isinstance(model, dict) and (network := registry.find(model.get("class_path"))):
        model["class_path"] = registry.NETWORKS[network].class_path  # for a name, and for the module of an older config
    return settings


def network_of(settings: dict[str, Any]) -> str | None:
    """Return the network that settings name, None where they name none. UsageError for one that does not exist."""
    model = settings.get("model") or {}
    given = model.get("class_path") if isinstance(model, dict) else model
    if given is None:
        return None
    return registry.resolve(str(given))
