"""Configs that hold names that are not UTF-8, as the config.yaml of a run on such a folder does."""

import re
from typing import Any

import yaml
from jsonargparse import get_loader, set_loader

_quick = get_loader("yaml")


def read_any_names() -> None:
    """Let jsonargparse read such configs too: libyaml, which it reads with, refuses the escapes of the names."""
    set_loader("yaml", _load, (yaml.YAMLError,))


def _load(text: str) -> Any:
    try:
        return _quick(text)
    except yaml.YAMLError:
        if not re.search(r"\\u[dD][89a-fA-F]", text):
            raise
        return yaml.load(text, _AnyNameLoader)  # noqa: S506 (a SafeLoader)


class _AnyNameLoader(yaml.SafeLoader):
    """Python's own, which leaves dates alone, as jsonargparse does."""

    yaml_implicit_resolvers = {  # noqa: RUF012 (as in the base class)
        first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
