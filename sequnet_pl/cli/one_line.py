"""A parser that says what is wrong in one line, and helps with an option a line."""

import argparse
import difflib
import re
from pathlib import Path
from types import NoneType
from typing import Any, NoReturn, get_args

from jsonargparse import ArgumentParser
from jsonargparse._typehints import ActionTypeHint

from sequnet_pl.errors import UsageError


class _Text(ActionTypeHint):
    """A text or nothing. What is written is meant, `null`, `#1` and `&x` too; nothing is only what YAML calls null."""

    def _check_type(self, value: Any, *arguments: Any, **more: Any) -> Any:
        return value if isinstance(value, str) else super()._check_type(value, *arguments, **more)


def keep_text(parser: ArgumentParser) -> None:
    """Take the options that may be a text or None as they are written, which jsonargparse would read as YAML."""
    for action in parser._actions:
        if isinstance(action, ActionTypeHint):
            kinds = set(get_args(action._typehint))
            if {str, NoneType} <= kinds <= {str, NoneType, Path}:
                action.__class__ = _Text


class OneLineHelp(argparse.HelpFormatter):
    """An option a line, and no types: what an option takes stands in its metavar."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=33, width=140)


class OneLineParser(ArgumentParser):
    """Raises UsageError, in the words of the command line, and asks whether another option was meant."""

    def __init__(self, *, prog: str, description: str, usage: str | None = None) -> None:
        super().__init__(
            prog=prog, description=description, usage=usage, formatter_class=OneLineHelp, allow_abbrev=False
        )

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """See jsonargparse. Always raises UsageError."""
        message = re.sub(r'Parser key "(\w+)"( element \d+)?:', r"--\1:", " ".join(message.split()))
        message = re.sub(r"Expected an? (?:<class '(\w+)'>|typing\.Literal\[(.*?)\])\.", r"expected \1\2,", message)
        message = message.replace("Got value:", "got")
        union = r"Does not validate against any of the Union subtypes.*? Expected an? <class '(\w+)'>.* Given value: "
        message = re.sub(union, r"expected \1, got ", message)
        if unknown := re.search(r"nrecognized arguments: (\S+)", message):
            flags = [flag for flag in self._option_string_actions if flag.startswith("--")]
            near = difflib.get_close_matches(unknown[1].partition("=")[0], flags, n=1)
            message = f"there is no option {unknown[1]}" + (f"; did you mean {near[0]}?" if near else "")
        raise UsageError(message) from ex
