"""What a run folder holds, for pages that are made of its files alone."""

import json
import os
from pathlib import Path
from typing import Any

import yaml

from sequnet_pl import atomic
from sequnet_pl.report.metrics import FILE
from sequnet_pl.report.sampled import LIST

FACTS = "run.json"
WARNINGS = "warnings.txt"
CONFIG = "config.yaml"
SAMPLES = "samples"
REPORT = "report.html"
PAGES = "pages.json"
NETWORKS = {"sequnet": "Seq-U-Net", "wavenet": "WaveNet"}
"""The networks by their names in files, and for people."""


def is_run(folder: Path) -> bool:
    """Whether a folder is that of a run."""
    return any((folder / name).is_file() for name in (FILE, CONFIG))


def run_title(folder: Path, what: str) -> str:
    """The title of a page of a run: its name and network, and what the page shows."""
    network = read_facts(folder).get("network", "")
    names = [folder.resolve().name, NETWORKS.get(network, network)]
    return f"{', '.join(name for name in names if name)}: {what}"


def mark_training(folder: Path, now: bool) -> None:
    """Note among the facts whether a run trains now. Raises UserError where that fails."""
    atomic.write_text(folder / FACTS, json.dumps(read_facts(folder) | {"training": now}, indent=1))


def add_page(folder: Path, name: str, path: Path) -> None:
    """Note that a page tells of a run, so that its other pages link it. Raises UserError where that fails."""
    pages = _pages(folder) | {os.path.relpath(path, folder): name}
    atomic.write_text(folder / PAGES, json.dumps(pages, indent=1))


def run_pages(folder: Path) -> list[tuple[str, Path]]:
    """The pages of a run that are there, the report first."""
    found = [("report", folder / REPORT), *((name, folder / place) for place, name in _pages(folder).items())]
    return [(name, path) for name, path in found if path.is_file()]


def _pages(folder: Path) -> dict[str, str]:
    try:
        found = json.loads((folder / PAGES).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def read_facts(folder: Path) -> dict[str, Any]:
    """What a run is; empty where nothing says it, as in the oldest run folders."""
    try:
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def read_config(folder: Path) -> dict[str, Any]:
    """The settings of a run; empty where there are none."""
    try:
        settings = yaml.safe_load(read_text(folder / CONFIG))
    except (yaml.YAMLError, ValueError):  # of a date that there is not
        return {}
    return settings if isinstance(settings, dict) else {}


def read_text(path: Path) -> str:
    """A text file; empty where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def sampling_folders(folder: Path) -> list[Path]:
    """The folders of finished samplings, the oldest first."""
    return sorted(path.parent for path in (folder / SAMPLES).glob(f"step-*/{LIST}"))
