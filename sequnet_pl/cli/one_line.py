"""What is wrong with an option in one line, and help with an option a line; a text that is given stays as it is."""

import argparse
import re
from itertools import chain
from pathlib import Path
from types import NoneType
from typing import Any, NoReturn, get_args

from jsonargparse import ArgumentParser
from jsonargparse._typehints import ActionTypeHint

from sequnet_pl.cli.line import flags_of
from sequnet_pl.cli.meant import meant
from sequnet_pl.errors import UsageError

_KINDS = {
    "int": ["a whole number"],
    "float": ["a number"],
    "bool": ["true", "false"],
    "str": ["a text (in quotes)"],
}


class OneLineErrors(ArgumentParser):
    """Raises UsageError, in the words of the command line, and asks whether another option was meant."""

    def called(self, name: str) -> str:
        """What users call an option."""
        return name

    def flags(self) -> list[str]:
        """The options that there are, without dashes."""
        return [option[2:] for option in self._option_string_actions if option.startswith("--")]

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """See jsonargparse. Always raises UsageError."""
        if found := re.search(r"nrecognized arguments: (-*)([^\s=]+)", message):
            message = f"there is no option {found[1]}{found[2]}{meant(found[2], self.flags())}"
        elif found := re.search(r"argument --([\w.]+)(?:/--[\w.+]+)?: expected", message):
            message = f"--{self.called(found[1])} needs a value"
        elif found := re.search(r"^    - (?!Expected |Not |Problem |Import)(\S.*)$", message, re.MULTILINE):
            message = found[1]  # of a part of a setting, where it has been said already
        elif found := re.search(r"(?:[Oo]ption|Key) '([\w.]+)'", message):
            message = f"there is no setting {found[1]}{self.meant_setting(found[1])}"
        elif found := re.search(r'Parser key "([\w.]+)".*?:\n.*(?:Got|Given) value: (.*)', message, re.DOTALL):
            value = " ".join(found[2].split())
            message = f"--{self.called(found[1])} {value}: expected {_expected(message, value)}"
        raise UsageError(" ".join(message.split())) from ex

    def meant_setting(self, name: str) -> str:
        """The question whether a config means another setting, or nothing."""
        return meant(name, [action.dest for action in self._actions], dashes="")


def _expected(message: str, value: str) -> str:
    """What a value may be."""
    types = re.search(r"Subtypes: .*", message)  # of several: below, a literal number counts as its class
    words = re.findall(r"(?<=['\[ ])[^', \[\]]+(?=['\],])", "".join(re.findall(r"Literal(\[.*?\])", message)))
    kinds = [_KINDS[name] for name in re.findall(r"<class '(\w+)'>", types[0] if types else message) if name in _KINDS]
    kinds += [["a list of them"]] * (types is not None and "list[int]" in types[0])
    *others, last = dict.fromkeys([*chain(*kinds), *words] or ["the name of a class"])
    return (", ".join(others) + " or ") * bool(others) + last + (meant(value, words, dashes="") if words else "")


class OneLineHelp(argparse.HelpFormatter):
    """An option a line, and no types: what an option takes stands in its metavar."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=33, width=140)


class OneLineParser(OneLineErrors):
    """A parser of a command of its own."""

    def __init__(self, *, prog: str, description: str, usage: str | None = None) -> None:
        super().__init__(
            prog=prog, description=description, usage=usage, formatter_class=OneLineHelp, allow_abbrev=False
        )

    def values(self, argv: list[str]) -> dict[str, Any]:
        """The values of a command line. UsageError where one is empty, or makes no sense."""
        flags_of(argv)
        keep_text(self)
        return vars(self.parse_args(argv))


class _Text(ActionTypeHint):
    """A text or nothing. What is written is meant, `null`, `#1` and `&x` too; nothing is only what YAML calls null."""

    def _check_type(self, value: Any, *arguments: Any, **more: Any) -> Any:
        return value if isinstance(value, str) else super()._check_type(value, *arguments, **more)


def keep_text(parser: ArgumentParser) -> None:
    """Take the options that may be a text or None as they are written, which jsonargparse would read as YAML."""
    for action in parser._actions:
        if isinstance(action, ActionTypeHint):
            kinds = set(get_args(action._typehint))
            if {str, NoneType} <= kinds <= {str, NoneType, Path, list[str]}:
                action.__class__ = _Text
