"""What a comparison has found so far, kept as it comes."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sequnet_pl import atomic
from sequnet_pl.errors import UserError

Found = dict[str, Any]
"""Plain values, as JSON has them."""


class Results:
    """The file of a comparison's stages. Those found there under other settings do not count.

    Raises UserError where the file holds something else.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        self._path, self._settings = path, json.loads(json.dumps(settings))
        self._stages: dict[str, Found] = {}
        if path.exists():
            try:
                content = json.loads(path.read_text(encoding="utf-8"))
                if content["settings"] == self._settings:
                    self._stages = dict(content["stages"])
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise UserError(f"{path} holds no results of a comparison; move it away, or choose --out") from error

    def stage(self, name: str, make: Callable[[], Found]) -> Found:
        """What the stage has found; it is made only where that is not known yet."""
        if name not in self._stages:
            print(f"--- {name}", flush=True)
            self._stages[name] = json.loads(json.dumps(make()))  # as a rerun reads it
            content = {"settings": self._settings, "stages": self._stages}
            atomic.write_text(self._path, json.dumps(content, indent=2) + "\n")
        return self._stages[name]
