"""The files of a run folder that pages are made of: metrics, settings, summary, and lists of sampled clips."""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from sequnet_pl import atomic
from sequnet_pl.models import registry

FILE = "metrics.csv"
LIST = "clips.json"
SUMMARY = "run.json"
WARNINGS = "warnings.txt"
CONFIG = "config.yaml"
SAMPLES = "samples"
REPORT = "report.html"
PAGES = "pages.json"

Points = NDArray[np.float64]
"""(2, N): positions and values."""


class Metrics:
    """The rows of a run's metrics.csv; none without the file. A line that was cut short is left out."""

    def __init__(self, folder: Path) -> None:
        header, *lines = read_text(folder / FILE).splitlines() or [""]
        whole = [line for line in lines if line.count(",") == header.count(",")]
        rows = np.genfromtxt(whole, delimiter=",", ndmin=2) if whole else np.empty((0, 0))
        self._columns = dict(zip(header.split(","), rows.T, strict=False))

    def names(self, prefix: str = "") -> list[str]:
        """Names of the metrics that begin with `prefix`, sorted."""
        return sorted(name for name in self._columns if name.startswith(prefix))

    def curve(self, name: str, over: str = "step") -> Points:
        """Values of a metric over those of another, of the rows that have both; (2, 0) if there are none."""
        if name not in self._columns or over not in self._columns:
            return np.empty((2, 0))
        points = np.array([self._columns[over], self._columns[name]])
        return points[:, np.isfinite(points).all(axis=0)]

    def last(self, name: str) -> float | None:
        """The newest value of a metric."""
        values = self.curve(name)[1]
        return float(values[-1]) if len(values) else None

    @property
    def steps(self) -> int:
        """Number of steps up to the newest row; rows count from 0."""
        return int(max(self.curve("step")[1], default=-1)) + 1

    def best(self, name: str) -> tuple[int, float] | None:
        """The number of steps at the lowest value of a metric, as checkpoints count them, and that value."""
        steps, values = self.curve(name)
        return (int(steps[values.argmin()]) + 1, float(values.min())) if len(values) else None


def thinned(points: Points, most: int = 300) -> Points:
    """At most `most` points, means over neighbours."""
    count = points.shape[1]
    if count <= most:
        return points
    edges = np.linspace(0, count, most + 1).astype(np.int64)
    return np.add.reduceat(points, edges[:-1], axis=1) / np.diff(edges)


@dataclass(frozen=True, kw_only=True)
class ClipInfo:
    """A clip of a training step, as `<name>.wav` and `<name>.png`, its spectrogram."""

    name: str
    kind: str  # continuation, recording (the real continuation of the same prompt) or silence
    prompt_end: float  # seconds at which the prompt ends; 0 without a prompt
    bits_per_sample: float | None  # of the network for the part after the prompt; None if it was not measured
    flags: Sequence[str] = ()  # defects of that part (sequnet_pl.report.clip)
    temperature: float | None = None  # None for a recording
    source: str = ""  # recording of the prompt, and its position there


@dataclass(frozen=True, kw_only=True)
class ClipSet:
    """All clips of a step, and the counts of each of the 256 codes in recordings and in generated clips."""

    step: int
    rate: int
    seed: int
    clips: Sequence[ClipInfo]
    real_codes: Sequence[int]
    generated_codes: Sequence[int]

    def write(self, folder: Path) -> None:
        """Write the list beside the clips. Raises UserError if that fails."""
        atomic.write_text(folder / LIST, json.dumps(asdict(self), indent=1))


def read_sampling(folder: Path) -> ClipSet | None:
    """The clips of a step in a folder; None if their list is missing or incomplete."""
    content = read_json(folder / LIST)
    try:
        for clip in content["clips"]:
            if "border" in clip:  # of an earlier version
                clip["prompt_end"] = clip.pop("border")
        content["clips"] = [ClipInfo(**clip) for clip in content["clips"]]
        return ClipSet(**content)
    except (KeyError, TypeError, AttributeError):
        return None


def sampling_folders(folder: Path) -> list[Path]:
    """The folders of complete clips, the oldest first."""
    return sorted(path.parent for path in (folder / SAMPLES).glob(f"step-*/{LIST}"))


def is_run(folder: Path) -> bool:
    """Return whether a folder is a run folder."""
    return any((folder / name).is_file() for name in (FILE, CONFIG))


def run_title(folder: Path, what: str) -> str:
    """The title of a page of a run: its name, its network and the kind of page."""
    network = read_summary(folder).get("network", "")
    names = [folder.resolve().name, registry.title(network)]
    return f"{', '.join(name for name in names if name)}: {what}"


def mark_training(folder: Path, now: bool) -> None:
    """Add to run.json, where there is one, whether a run is training. Raises UserError if that fails."""
    if summary := read_summary(folder):  # else it is not there for a reason, such as a full disk
        atomic.write_text(folder / SUMMARY, json.dumps(summary | {"training": now}, indent=1))


def add_page(folder: Path, name: str, path: Path) -> None:
    """Add a page to those that the pages of a run link. Raises UserError if that fails."""
    pages = read_json(folder / PAGES) | {os.path.relpath(path, folder): name}
    atomic.write_text(folder / PAGES, json.dumps(pages, indent=1))


def run_pages(folder: Path) -> list[tuple[str, Path]]:
    """The existing pages of a run, the report first."""
    pages = [("report", folder / REPORT), *((name, folder / url) for url, name in read_json(folder / PAGES).items())]
    return [(name, path) for name, path in pages if path.is_file()]


def read_summary(folder: Path) -> dict[str, Any]:
    """The summary of a run in run.json; empty if there is none, as in the oldest run folders."""
    return read_json(folder / SUMMARY)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file; empty if it cannot be read."""
    return _mapping(json.loads, path)


def read_config(folder: Path) -> dict[str, Any]:
    """The settings of a run; empty if they cannot be read."""
    return _mapping(yaml.safe_load, folder / CONFIG)


def _mapping(parse: Callable[[str], Any], path: Path) -> dict[str, Any]:
    try:
        content = parse(read_text(path))
    except (yaml.YAMLError, ValueError):  # an impossible date, too
        return {}
    return content if isinstance(content, dict) else {}


def read_text(path: Path) -> str:
    """The content of a text file; empty if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
