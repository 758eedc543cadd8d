"""The YAML of configs: one reading of it for all that looks into them, and a writing that this reading gives back."""

import re
from typing import Any

import yaml
from jsonargparse import get_loader, set_dumper, set_loader
from jsonargparse._loaders_dumpers import get_yaml_default_loader

_quick = get_loader("yaml")


def use_yaml() -> None:
    """Let jsonargparse read names that are not UTF-8, whose escapes libyaml refuses, and write what it reads back."""
    set_loader("yaml", _load, (yaml.YAMLError,))
    set_dumper("yaml", dump)


def load(text: str) -> Any:
    """What YAML says, by jsonargparse's rules: a date is a text, and 1e3 a number.

    YAMLError or ValueError where it is none.
    """
    return yaml.load(text, _Loader)  # noqa: S506 (a SafeLoader)


def dump(settings: Any) -> str:
    """Settings as YAML, in quotes every text that would be read as something else."""
    return yaml.dump(settings, Dumper=_Dumper, default_flow_style=False, allow_unicode=True, sort_keys=False)


def _load(text: str) -> Any:
    try:
        return _quick(text)
    except yaml.YAMLError:
        if not re.search(r"\\u[dD][89a-fA-F]", text):
            raise
        return load(text)


class _Loader(yaml.SafeLoader):
    """Python's own, which takes any escape, with the numbers and without the dates of jsonargparse."""

    yaml_implicit_resolvers = get_yaml_default_loader().yaml_implicit_resolvers


def _one_of_two(loader: _Loader, node: yaml.ScalarNode) -> str:
    """A text in which JSON's two escapes of one character beyond 16 bits, as of an emoji, are that character."""
    text = yaml.SafeLoader.construct_yaml_str(loader, node)
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


_Loader.add_constructor("tag:yaml.org,2002:str", _one_of_two)


class _Dumper(yaml.SafeDumper):
    """Knows the numbers of PyYAML and of jsonargparse, whichever of them reads."""

    yaml_implicit_resolvers = {  # noqa: RUF012 (as in the base class)
        first: yaml.SafeDumper.yaml_implicit_resolvers.get(first, []) + resolvers
        for first, resolvers in _Loader.yaml_implicit_resolvers.items()
    }


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    """PyYAML breaks lines at NEL, and does not read the break as it was, but where it is escaped."""
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if "\x85" in text else None)


_Dumper.add_representer(str, _text)
