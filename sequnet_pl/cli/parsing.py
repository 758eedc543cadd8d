"""Options from signatures, and what is wrong with a command line in one line: shared by all commands."""

import argparse
import difflib
import functools
import inspect
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

from docstring_parser import parse as parse_docstring
from jsonargparse import ArgumentError, ArgumentParser, Namespace

from sequnet_pl.errors import UsageError


class OneLineHelp(argparse.HelpFormatter):
    """An option a line; what it takes stands in its text."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=33, width=140)


class _OneOrMore(argparse.Action):
    """One text, or a list of several."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        setattr(namespace, self.dest, values if len(values) > 1 else values[0])


def _kinds(annotation: Any) -> list[Any]:
    """The members of a union, or the one type."""
    return list(get_args(annotation)) if get_origin(annotation) in (Union, UnionType) else [annotation]


class Parser(ArgumentParser):
    """Of one command: options from signatures, and one line for what is wrong."""

    def __init__(self, *, brief: bool = False, **options: Any) -> None:
        super().__init__(
            **{"exit_on_error": False, "allow_abbrev": False, "print_config": None, "formatter_class": OneLineHelp}
            | options
        )
        self.names: list[str] = []
        self._brief = brief  # help leaves out what has no short name

    def option(self, *names: str, group: Any = None, **settings: Any) -> None:
        """An option by all its names."""
        self.names += names
        (group or self).add_argument(*names, **settings)

    def signature(
        self,
        prefix: str,
        function: Callable[..., Any],
        short: Mapping[str, str] = {},
        defaults: Mapping[str, Any] = {},
        group: Any = None,
    ) -> None:
        """An option `--PREFIX.NAME` for each parameter of `function`, without a prefix `--NAME`.

        Those in `short` have a short name too, or another one. A switch needs no value, several values are given one
        after the other, and what may be a text or nothing is taken as it is written.
        """
        group = group or self.add_argument_group(prefix)
        docs = {each.arg_name: each.description for each in parse_docstring(inspect.getdoc(function) or "").params}
        for name, parameter in inspect.signature(function, eval_str=True).parameters.items():
            if parameter.kind is parameter.VAR_KEYWORD or parameter.default is parameter.empty:
                continue  # given by the program, not by an option
            kinds, default = _kinds(parameter.annotation), defaults.get(name, parameter.default)
            if default is None and NoneType in kinds:
                kinds.remove(NoneType)  # which need not be said
            default = list(default) if isinstance(default, tuple) else default
            settings: dict[str, Any] = {"type": functools.reduce(operator.or_, kinds)}
            if kinds == [str, list[str]]:
                settings = {"action": _OneOrMore, "nargs": "+"}
            elif len(kinds) == 1 and get_origin(kinds[0]) is list:
                settings = {"type": get_args(kinds[0])[0], "nargs": "+"}
            elif bool in kinds:
                settings |= {"nargs": "?", "const": True}
            key = f"{prefix}.{name}".lstrip(".")
            names = dict.fromkeys([f"--{short.get(name, key)}", f"--{key}"])
            settings |= {"dest": key, "default": default}
            hidden = self._brief and name not in short
            text = argparse.SUPPRESS if hidden else (docs.get(name) or "").replace("%", "%%")
            self.option(*names, group=group, help=text, metavar=name.upper(), **settings)

    def values(self, argv: Sequence[str], layers: Iterable[tuple[str, dict[str, Any]]] = ()) -> Namespace:
        """Those of a command line over those of named dictionaries, each over the one before. UsageError if wrong."""
        values, where = None, ""
        try:
            for where, layer in layers:
                values = self.parse_object(layer, namespace=values)
            where = ""
            return self.parse_args(list(argv), namespace=values)
        except ArgumentError as error:
            text = " ".join(str(error).split())
            raise UsageError(f"{where}: {text}" if where else f"{text}{self._question(argv, text)}") from error

    def _question(self, argv: Sequence[str], text: str) -> str:
        """Whether another option was meant, where a command line has one that there is not."""
        unknown = [word for word in argv if text.startswith(f"unrecognized arguments: {word}")]
        return did_you_mean(unknown[0].partition("=")[0], self.names) if unknown else ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The question whether a similar word was meant, or nothing."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""
