"""What differs in the settings of runs."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_PLACES = (
    "name",
    "log_dir",
    "snapshot_dir",
    "data.data_dir",
    "best.dirpath",
    "last.dirpath",
    "trainer.default_root_dir",
)


def differing(configs: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """The settings that are not the same in all configs, each with its value in each; "–" where there is none.

    Names and folders, which always differ, are left out. A setting is called by its last word where that is clear.
    """
    flat = [dict(_flat(config)) for config in configs]
    paths = dict.fromkeys(path for settings in flat for path in settings if path not in _PLACES)
    values = {path: [settings.get(path, "–") for settings in flat] for path in paths}
    found = {path: each for path, each in values.items() if len(set(each)) > 1}
    words = [path.rpartition(".")[2] for path in found]
    return {
        word if words.count(word) == 1 else path: each for word, (path, each) in zip(words, found.items(), strict=True)
    }


def _flat(value: object, path: str = "") -> Iterator[tuple[str, str]]:
    """Paths and values; what is made of a class is named by it, and its arguments stand below that name."""
    before = f"{path}." if path else ""
    match value:
        case {"class_path": str(name), **rest}:
            yield path, name.rpartition(".")[2]
            yield from _flat(rest.get("init_args") or {}, path)
        case dict():
            for key, inner in value.items():
                yield from _flat(inner, f"{before}{key}")
        case list() if any(isinstance(item, Mapping) for item in value):
            for item in value:
                kind = str(item.get("class_path", "")) if isinstance(item, Mapping) else str(item)
                yield from _flat(item, f"{before}{kind.rpartition('.')[2]}")
        case None:
            pass
        case _:
            yield path, str(value)
