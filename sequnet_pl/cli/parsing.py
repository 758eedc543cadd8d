"""Options from signatures, shared by all commands; every error is a UsageError of one line."""

import argparse
import functools
import inspect
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

from docstring_parser import parse as parse_docstring
from jsonargparse import ArgumentError, ArgumentParser, Namespace

from sequnet_pl.errors import UsageError, did_you_mean

if TYPE_CHECKING:  # a type checker reads numbers with a limit as int and float
    ClosedUnitInterval = NonNegativeFloat = PositiveFloat = float
    NonNegativeInt = PositiveInt = int
else:
    from jsonargparse.typing import ClosedUnitInterval, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

__all__ = ["ClosedUnitInterval", "NonNegativeFloat", "NonNegativeInt", "Parser", "PositiveFloat", "PositiveInt"]
_SYNONYMS = {
    "learning_rate": "lr",
    "batch": "batch_size",
    "checkpoint": "ckpt_path",
    "ckpt": "ckpt_path",
    "resume": "ckpt_path",
    "device": "gpus",
    "devices": "gpus",
    "gpu": "gpus",
    "max_epochs": "epochs",
    "num_epochs": "epochs",
    "steps": "max_steps",
    "temperature": "temp",
    "output": "output_dir",
    "workers": "num_workers",
}
"""Common names of options that have another one here."""
_RANGES = {
    "PositiveInt": "a whole number of 1 or more",
    "NonNegativeInt": "a whole number of 0 or more",
    "PositiveFloat": "a number above 0",
    "NonNegativeFloat": "a number of 0 or more",
    "ClosedUnitInterval": "a number from 0 to 1",
    "Clips": "a whole number of 4 or more",
    "Resamples": "a whole number of 2 or more",
}
"""Descriptions of jsonargparse's restricted numbers; ours have theirs as names."""
_PLAIN = {int: "a whole number", float: "a number", NoneType: "null"}


class OneLineHelp(argparse.HelpFormatter):
    """One line for each option."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=33, width=140)


class _OneOrMore(argparse.Action):
    """Store one value as it is, several as a list."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        setattr(namespace, self.dest, values if len(values) > 1 else values[0])


class _WrongValueError(argparse.ArgumentTypeError):
    """A value that the option with this name does not take; argparse adds the name itself, but not from a config."""

    def __init__(self, option: str, text: str) -> None:
        super().__init__(text)
        self.option = option


class Parser(ArgumentParser):
    """A parser of one command, whose options come from signatures.

    Args:
        brief: Leave options without a short name out of the help.
        options: Those of jsonargparse.ArgumentParser.
    """

    def __init__(self, *, brief: bool = False, **options: Any) -> None:
        super().__init__(
            **{"exit_on_error": False, "allow_abbrev": False, "print_config": None, "formatter_class": OneLineHelp}
            | options
        )
        self.names = ["--help"]
        self._brief = brief

    def option(self, *names: str, group: Any = None, **settings: Any) -> None:
        """Add an option with all its names."""
        self.names += names
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
            default = defaults.get(name, parameter.default)
            default = list(default) if isinstance(default, tuple) else default
            key = f"{prefix}.{name}".lstrip(".")
            names = dict.fromkeys([f"--{short.get(name, key)}", f"--{key}"])
            hidden = self._brief and name not in short
            text = argparse.SUPPRESS if hidden else docs.get(name, "").replace("%", "%%")
            settings = kind_of(parameter.annotation, default, key)
            self.option(*names, group=group, help=text, metavar=name.upper(), dest=key, default=default, **settings)

    def values(
        self,
        argv: Sequence[str],
        layers: Iterable[tuple[str, dict[str, Any]]] = (),
        alternatives: Mapping[str, Any] = {},
    ) -> Namespace:
        """Return the values of named dictionaries, each over the one before, and of a command line over them.

        Args:
            argv: The command line.
            layers: The dictionaries, each with its name in messages.
            alternatives: Options of which one that a layer gives replaces all of the layers before, with the values
                that they have if they are not given.

        Raises:
            UsageError: An option or a value is not valid.
        """
        values = None
        for where, layer in layers:
            try:
                values = self.parse_object(layer, namespace=values)
                _replace(values, self.parse_object(layer, defaults=False), alternatives)
            except (ArgumentError, argparse.ArgumentTypeError) as error:
                option = error.option if isinstance(error, _WrongValueError) else ""
                raise UsageError(": ".join(filter(None, [where, option, _one_line(error)]))) from error
        self.check_names(argv)
        try:
            values = self.parse_args(list(argv), namespace=values)
            _replace(values, self.parse_args(list(argv), defaults=False), alternatives)
        except ArgumentError as error:
            raise UsageError(_one_line(error)) from error
        return values

    def check_names(self, argv: Sequence[str], more: Iterable[str] = ()) -> None:
        """Raise UsageError for an option that does not exist, or one with an empty value; `more` exist elsewhere."""
        names = [*self.names, *more]
        flag = ""
        for word in argv:
            name, equals, value = word.partition("=")
            name = name.rstrip("+")
            flag = name if name.startswith("--") else flag
            if not word or (name in names and equals and not value):
                raise UsageError(f"{flag or 'an argument'} has an empty value")
            of_a_class = any(
                name.startswith(f"{known}.") for known in self.names
            )  # such as --trainer.callbacks.patience
            if name.startswith("--") and len(name) > 2 and name not in names and not of_a_class:
                raise UsageError(f"there is no option {name}{_option_meant(name, names)}")
            if name.startswith("-") and name.lstrip("-")[:1].isalpha() and f"-{name}" in names:
                raise UsageError(f"there is no option {name}; did you mean -{name}?")


def _documented(function: Callable[..., Any]) -> dict[str, str]:
    """Return the descriptions of parameters in the docstring of a function, or in those of a class and its bases."""
    if not inspect.isclass(function):
        texts = [function.__doc__]
    else:
        texts = [text for each in inspect.getmro(function)[::-1] for text in (each.__doc__, each.__init__.__doc__)]
    parsed = [parse_docstring(inspect.cleandoc(text)) for text in texts if text]
    return {each.arg_name: each.description for one in parsed for each in one.params if each.description}


def _replace(values: Namespace, given: Namespace, alternatives: Mapping[str, Any]) -> None:
    """Reset the alternatives that are not given, if others are."""
    if any(name in given for name in alternatives):
        for name in [name for name in alternatives if name not in given]:
            values[name] = alternatives[name]


def kind_of(annotation: Any, default: Any, name: str = "") -> dict[str, Any]:
    """Return the arguments of add_argument for the type annotation of an option."""
    kinds = _members(annotation)
    if default is None and NoneType in kinds:
        kinds.remove(NoneType)
    if kinds == [str, list[str]]:
        return {"action": _OneOrMore, "nargs": "+"}
    if len(kinds) == 1 and get_origin(kinds[0]) is list:
        return {"type": _type(get_args(kinds[0]), name), "nargs": "+"}
    switch = {"nargs": "?", "const": True} if bool in kinds else {}
    return {"type": _type(kinds, name), **switch}


def _members(annotation: Any) -> list[Any]:
    """Return the members of a union, or the one type."""
    return list(get_args(annotation)) if get_origin(annotation) in (Union, UnionType) else [annotation]


def _type(kinds: Sequence[Any], option: str) -> Any:
    """Return the type of an option: a converter for plain types, whose error names them, else their union."""
    kind = functools.reduce(operator.or_, kinds)
    names = [_describe(each) for each in kinds]
    if str in kinds or not all(names):
        return kind
    choices = list(dict.fromkeys(name for each in names if each for name in each))
    expected = " or ".join(filter(None, [", ".join(choices[:-1]), choices[-1]]))
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--value", type=kind)

    def convert(value: Any) -> Any:
        try:
            if isinstance(value, str):
                return parser.parse_args([f"--value={value}"]).value
            return parser.parse_object({"value": value}).value
        except ArgumentError as error:
            question = did_you_mean(str(value), choices)
            raise _WrongValueError(option, f"expected {expected}, not {value}{question}") from error

    return convert


def _describe(kind: Any) -> list[str] | None:
    """Return the names of a plain type in a message, those of all values of a Literal; None for a class."""
    if get_origin(kind) is Literal:
        return [str(value) for value in get_args(kind)]
    if get_origin(kind) is list:
        return ["a list"] if _describe(get_args(kind)[0]) else None
    if kind is bool:
        return ["true", "false"]
    if isinstance(kind, type) and issubclass(kind, (int, float)) and kind not in _PLAIN:
        return [_RANGES.get(kind.__name__, f"a {kind.__name__}")]
    return [_PLAIN[kind]] if kind in _PLAIN else None


def _one_line(error: Exception) -> str:
    """Return the message; of one with several lines, as for a union of classes, the first and the innermost cause."""
    text, cause = str(error), error.__cause__
    while cause is not None and cause.__cause__ is not None:
        cause = cause.__cause__
    if cause is not None and "\n" in text:
        text = f"{text.splitlines()[0]} {cause}"
    return " ".join(text.split())


def _option_meant(word: str, known: Sequence[str]) -> str:
    """Return the question whether a known option was meant, by its common name or a similar one, or nothing."""
    synonym = f"--{_SYNONYMS.get(word.lstrip('-').replace('-', '_'))}"
    return f"; did you mean {synonym}?" if synonym in known else did_you_mean(word, known)
