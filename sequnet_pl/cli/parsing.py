"""Options from signatures, shared by all commands; every error is a UsageError of one line."""

import argparse
import functools
import inspect
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from docstring_parser import parse as parse_docstring
from jsonargparse import ArgumentError, ArgumentParser, Namespace

from sequnet_pl.errors import UsageError, did_you_mean

_SYNONYMS = {
    "learning_rate": "lr",
    "checkpoint": "ckpt_path",
    "ckpt": "ckpt_path",
    "resume": "ckpt_path",
    "device": "gpus",
    "max_epochs": "epochs",
    "temperature": "temp",
    "workers": "num_workers",
}
"""Common names of options that have another one here."""


class OneLineHelp(argparse.HelpFormatter):
    """One line for each option."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=33, width=140)


class _OneOrMore(argparse.Action):
    """Store one value as it is, several as a list."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        setattr(namespace, self.dest, values if len(values) > 1 else values[0])


class _WrongValueError(argparse.ArgumentTypeError, ValueError):
    """A wrong value: argparse names its option for the first of these types, jsonargparse for the second."""


class Parser(ArgumentParser):
    """A parser of one command, whose options come from signatures; a `brief` one, for help, has their short names."""

    def __init__(self, *, brief: bool = False, **options: Any) -> None:
        super().__init__(
            **{"exit_on_error": False, "allow_abbrev": False, "print_config": None, "formatter_class": OneLineHelp}
            | options
        )
        self.names: dict[str, str] = {"--help": "help"}
        """The setting that each name of an option sets."""
        self._brief = brief
        self._never_null: set[str] = set()  # settings

    def option(self, *names: str, group: Any = None, annotation: Any = None, **settings: Any) -> None:
        """Add an option with all its names, of the type of an `annotation` if one is given.

        Its help ends with the default, if there is one.
        """
        default, text = settings.get("default"), settings.get("help", "")
        shown = " ".join(map(str, default)) if isinstance(default, list) else str(default or 0)
        if default not in (None, "", []) and default is not False and "default" not in text.lower():
            settings["help"] = f"{text.removesuffix('.')} (default: {shown})."
        key = str(settings.get("dest") or names[0].removeprefix("--"))
        self.names |= dict.fromkeys(names, key)
        if annotation is not None:
            settings |= _kind_of(annotation, default)
            if default is not None and NoneType not in get_args(annotation):
                self._never_null.add(key)
        (group or self).add_argument(*names, **settings)

    def signature(
        self,
        prefix: str,
        function: Callable[..., Any],
        short: Mapping[str, str] = {},
        defaults: Mapping[str, Any] = {},
        title: str = "",
        docs: Mapping[str, str] = {},
    ) -> None:
        """Add an option `--PREFIX.NAME` for each parameter of `function`; without a prefix `--NAME`.

        Parameters in `short` have that shorter name too. A switch needs no value, a list takes several values one
        after the other, and a text is taken literally. The help of an option is its text in `docs`, otherwise that in
        the docstring; `title` is the heading of the options, by default the prefix.
        """
        heading = title or prefix
        group = self.add_argument_group(heading) if heading else self
        docs = {**_documented(function), **docs}
        for name, parameter in inspect.signature(function, eval_str=True).parameters.items():
            if parameter.kind is parameter.VAR_KEYWORD or parameter.default is parameter.empty:
                continue  # set by the program, not by an option
            if self._brief and name not in short:
                continue
            default = defaults.get(name, parameter.default)
            default = list(default) if isinstance(default, tuple) else default
            key = f"{prefix}.{name}".lstrip(".")
            names = dict.fromkeys([f"--{short.get(name, key)}"] + [f"--{key}"] * (not self._brief))
            settings = {"help": docs.get(name, "").replace("%", "%%"), "metavar": short.get(name, name).upper()}
            settings |= {"dest": key, "default": default, "annotation": parameter.annotation}
            self.option(*names, group=group, **settings)

    def values(
        self,
        argv: Sequence[str],
        layers: Iterable[tuple[str, dict[str, Any]]] = (),
        alternatives: Mapping[str, Any] = {},
        values: Namespace | None = None,
    ) -> Namespace:
        """Return the values of named dictionaries, each over the one before, and of a command line over them.

        Args:
            argv: The command line.
            layers: The dictionaries, each with its name in messages.
            alternatives: Options of which one that a layer gives replaces all of the layers before, with the values
                that they have if they are not given.
            values: Values below the first layer; the defaults if None.

        Raises:
            UsageError: An option or a value is not valid.
        """
        for where, layer in layers:
            short = {key: self.names[f"--{key}"] for key in layer if f"--{key}" in self.names}
            whole = {key: value for key, value in layer.items() if key not in short}
            by_key = {key: layer[name] for name, key in short.items()}
            try:
                if whole:
                    values = self.parse_object(whole, namespace=values)
                if short:
                    values = self.parse_object(by_key, namespace=values)
            except ArgumentError as error:
                raise UsageError(f"{where}: {_one_line(error)}") from error
            given = {*_dotted(whole), *_dotted(by_key)}
            self._check_values(where, given, values)
            _replace(values, given, alternatives)
        self._check_names(argv)
        try:
            values = self.parse_args(list(argv), namespace=values)
        except ArgumentError as error:
            text = _one_line(error)
            for key in self.names.values():  # an option of several names is called by the first
                names = [name for name, other in self.names.items() if other == key]
                text = text.replace(f"{'/'.join(names)}:", f"{names[0]}:")
            raise UsageError(text.removeprefix("argument ")) from error
        _replace(values, self.given(argv), alternatives)
        return values

    def given(self, argv: Sequence[str]) -> set[str]:
        """Return the settings that a command line sets."""
        words = [word.partition("=")[0].rstrip("+") for word in argv]
        return {self.names[word] for word in words if word in self.names}

    def _check_values(self, where: str, given: set[str], values: Namespace | None) -> None:
        """Raise UsageError for a null, or for a value in place of a section, which jsonargparse accepts."""
        sections = {key.rpartition(".")[0] for key in self.names.values()}
        for key in sorted(given & (self._never_null | sections)):
            if values is not None and values.get(key, "") is None:
                raise UsageError(f"{where}: {key} is null or empty; give it a value or leave it out")
            if values is not None and key in sections and not isinstance(values[key], Namespace):
                raise UsageError(f"{where}: {key} is {values[key]}, but is a section of settings, `name: value`")

    def _check_names(self, argv: Sequence[str]) -> None:
        """Raise UsageError for an option that does not exist, or one with an empty value."""
        flag = "an argument"
        for word in argv:
            name, equals, value = word.partition("=")
            name = name.rstrip("+")
            flag = name if name.startswith("--") else flag
            if not word or (name in self.names and equals and not value):
                raise UsageError(f"{flag} has an empty value")
            of_a_class = any(name.startswith(f"{known}.") for known in self.names if "." in known)
            if name.startswith("--") and len(name) > 2 and name not in self.names and not of_a_class:
                synonym = f"--{_SYNONYMS.get(name[2:])}"
                question = f"; did you mean {synonym}?" if synonym in self.names else did_you_mean(name, self.names)
                raise UsageError(f"there is no option {name}{question}")


def _documented(function: Callable[..., Any]) -> dict[str, str]:
    """Return the descriptions of parameters in the docstring of a function, or in those of a class and its bases."""
    texts = [function.__doc__]
    if inspect.isclass(function):
        texts = [text for each in inspect.getmro(function)[::-1] for text in (each.__doc__, each.__init__.__doc__)]
    parsed = [parse_docstring(inspect.cleandoc(text)) for text in texts if text]
    return {each.arg_name: each.description for one in parsed for each in one.params if each.description}


def _dotted(settings: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Iterate over the dotted names in nested settings."""
    for name, value in settings.items():
        yield f"{prefix}{name}"
        if isinstance(value, dict):
            yield from _dotted(value, f"{prefix}{name}.")


def _replace(values: Namespace | None, given: set[str], alternatives: Mapping[str, Any]) -> None:
    """Reset the alternatives that are not given, if others are."""
    if values is not None and given & alternatives.keys():
        for name in alternatives.keys() - given:
            values[name] = alternatives[name]


def _kind_of(annotation: Any, default: Any) -> dict[str, Any]:
    """Return the arguments of add_argument for the type annotation of an option."""
    kinds = list(get_args(annotation)) if get_origin(annotation) in (Union, UnionType) else [annotation]
    if default is None and NoneType in kinds:
        kinds.remove(NoneType)
    if kinds == [str, list[str]]:
        return {"action": _OneOrMore, "nargs": "+"}
    if len(kinds) == 1 and get_origin(kinds[0]) is list:
        return {"type": get_args(kinds[0])[0], "nargs": "+"}
    switch = {"nargs": "?", "const": True} if bool in kinds else {}
    return {"type": _type(kinds), **switch}


def _type(kinds: Sequence[Any]) -> Any:
    """Return the type of an option; of a union of numbers and words, a converter whose error names them briefly."""
    kind = functools.reduce(operator.or_, kinds)
    words = [_words(each) for each in kinds]
    if len(kinds) == 1 or not all(words):
        return kind
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--value", type=kind)

    def convert(value: Any) -> Any:
        try:
            if isinstance(value, str):
                return parser.parse_args([f"--value={value}"]).value
            return parser.parse_object({"value": value}).value
        except ArgumentError as error:
            raise _WrongValueError(f"expected {' or '.join(filter(None, words))}, not {value}") from error

    return convert


def _words(kind: Any) -> str | None:
    """Return the name of a number or switch, or the values of a Literal; None for other types."""
    if get_origin(kind) is Literal:
        return " or ".join(map(str, get_args(kind)))
    if kind is NoneType:
        return "null"
    return getattr(kind, "__name__", "number") if kind in (bool, int, float, list[int]) else None


def _one_line(error: Exception) -> str:
    """Return the message; of one with several lines, as for a union of classes, the first and the innermost cause."""
    text, cause = str(error), error.__cause__
    while cause is not None and cause.__cause__ is not None:
        cause = cause.__cause__
    if cause is not None and "\n" in text and "\n" not in str(cause):
        text = f"{text.splitlines()[0]} {cause}"
    return " ".join(text.split())
