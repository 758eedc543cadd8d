"""A command line taken apart into flags and their values, before anything is understood."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from sequnet_pl.errors import UsageError


class Flag(NamedTuple):
    """One flag as it was typed, without its two dashes; a value that follows no flag stands under the name ''."""

    name: str
    value: str | None

    def word(self) -> str:
        """The flag as one word."""
        return self.option if self.value is None else f"{self.option}={self.value}"

    @property
    def option(self) -> str:
        """The flag as it was typed, without its value; one of one dash or three has them in its name."""
        return self.name if self.name.startswith("-") else f"--{self.name}"


def flags_of(arguments: Sequence[str]) -> list[Flag]:
    """The flags in their order. UsageError for an empty value, as an unset variable of a shell leaves it."""
    flags: list[Flag] = []
    waiting = False
    for word in arguments:
        if word.startswith("-") and word != "-" and not _is_number(word):
            name, equals, value = word.partition("=")
            flags.append(Flag(name if name.startswith("---") else name.removeprefix("--"), value if equals else None))
            waiting = not equals
        elif waiting:
            flags[-1] = Flag(flags[-1].name, word)
            waiting = False
        else:
            flags.append(Flag("", word))
    last = ""
    for name, value in flags:
        last = name or last
        if value == "":
            raise UsageError(f"--{last.lstrip('-')} has an empty value: give it one, or leave it out")
    return flags


def with_lists(flags: Sequence[Flag], names: Collection[str]) -> tuple[list[Flag], dict[str, list[str]]]:
    """The flags, each with its first value, and all the values of the last one of each of the `names`.

    Values that follow one of the names are its own; those after another flag stay where they are.
    """
    kept: list[Flag] = []
    lists: dict[str, list[str]] = {}
    for flag in flags:
        if flag.name in names and flag.value is not None:
            lists[flag.name] = [flag.value]
        elif flag.name == "" and kept and kept[-1].name in lists and flag.value is not None:
            lists[kept[-1].name].append(flag.value)
            continue
        kept.append(flag)
    return kept, lists


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
