"""Runs that are looked at together: where they are, what they are called, and what their folders tell."""

import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from sequnet_pl.errors import UsageError
from sequnet_pl.report.chart import COLOURS
from sequnet_pl.report.metrics import Metrics
from sequnet_pl.report.run_folder import REPORT, is_run, read_config, read_facts, sampling_folders
from sequnet_pl.report.sampled import Sampling, read_sampling
from sequnet_pl.report.scores import NETWORK


@dataclass(frozen=True)
class ComparedRun:
    """A run: its folder, what it is called among the others, and its colour."""

    folder: Path
    name: str
    colour: str

    @cached_property
    def metrics(self) -> Metrics:
        return Metrics(self.folder)

    @cached_property
    def facts(self) -> dict[str, Any]:
        return read_facts(self.folder)

    @cached_property
    def config(self) -> dict[str, Any]:
        return read_config(self.folder)

    @cached_property
    def test(self) -> dict[str, Any]:
        """What test.json has; empty where it was not tested."""
        return _json(self.folder / "test.json")

    @property
    def test_bits(self) -> float | None:
        """Bits per sample on the test recordings."""
        return self.test.get("bits_per_sample", {}).get(NETWORK)

    @cached_property
    def sound(self) -> dict[str, Any]:
        """Distances of its clips to recordings by measure, as evaluation.json has them."""
        return _json(self.folder / "evaluation" / "evaluation.json").get("measures", {})

    @cached_property
    def sampling(self) -> tuple[Path, Sampling] | None:
        """The newest that is whole, and its folder."""
        found = ((folder, read_sampling(folder)) for folder in reversed(sampling_folders(self.folder)))
        return next(((folder, sampling) for folder, sampling in found if sampling), None)


def find_runs(paths: Sequence[Path]) -> list[Path]:
    """The run folders among these, and those in the others. UsageError where one has none, or there are not two."""
    found: dict[Path, Path] = {}
    for path in paths:
        if not path.is_dir():
            raise UsageError(f"there is no folder {path}; name run folders, or a folder that holds some")
        below = sorted(_below(path))
        if not below:
            raise UsageError(f"{path} is no run folder, and holds none")
        found |= {run.resolve(): run for run in below}
    if len(found) < 2:
        raise UsageError(
            f"there is nothing to compare with {next(iter(found.values()))}; its own page is {REPORT} there"
        )
    return list(found.values())


def _below(folder: Path) -> Iterator[Path]:
    for place, folders, _ in os.walk(folder):
        if is_run(Path(place)):
            folders.clear()  # what lies in a run, as W&B's files, is none
            yield Path(place)


def ranked_runs(folders: Sequence[Path]) -> list[ComparedRun]:
    """The best validation first, each called by as much of its path as tells it from the others."""
    names = Counter(folder.resolve().name for folder in folders)
    root = os.path.commonpath([folder.resolve().parent for folder in folders])
    spread = [f"hsl({360 * number // len(folders)} 60% 42%)" for number in range(len(folders))]
    colours = COLOURS if len(folders) <= len(COLOURS) else spread
    best = {folder: Metrics(folder).best("val/bits_per_sample") or (0, float("inf")) for folder in folders}
    runs = []
    for folder, colour in zip(sorted(folders, key=lambda folder: best[folder][1]), colours, strict=False):
        whole = folder.resolve()
        name = whole.name if names[whole.name] == 1 else Path(os.path.relpath(whole, root)).as_posix()
        runs.append(ComparedRun(folder, name, colour))
    return runs


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
