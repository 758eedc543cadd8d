"""The files of a run folder that pages are made of."""

import json
import os
from pathlib import Path
from typing import Any

import yaml

from sequnet_pl import atomic
from sequnet_pl.models import registry
from sequnet_pl.report.metrics import FILE
from sequnet_pl.report.sampled import LIST

FACTS = "run.json"
WARNINGS = "warnings.txt"
CONFIG = "config.yaml"
SAMPLES = "samples"
REPORT = "report.html"
PAGES = "pages.json"


def is_run(folder: Path) -> bool:
    """Whether a folder is a run folder."""
    return any((folder / name).is_file() for name in (FILE, CONFIG))


def run_title(folder: Path, what: str) -> str:
    """The title of a page of a run: its name, its network and the kind of page."""
    network = read_facts(folder).get("network", "")
    names = [folder.resolve().name, registry.title(network)]
    return f"{', '.join(name for name in names if name)}: {what}"


def mark_training(folder: Path, now: bool) -> None:
    """Write to run.json whether a run is training. Raises UserError if that fails."""
    atomic.write_text(folder / FACTS, json.dumps(read_facts(folder) | {"training": now}, indent=1))


def add_page(folder: Path, name: str, path: Path) -> None:
    """Add a page to those that the pages of a run link. Raises UserError if that fails."""
    pages = _pages(folder) | {os.path.relpath(path, folder): name}
    atomic.write_text(folder / PAGES, json.dumps(pages, indent=1))


def run_pages(folder: Path) -> list[tuple[str, Path]]:
    """The existing pages of a run, the report first."""
    found = [("report", folder / REPORT), *((name, folder / place) for place, name in _pages(folder).items())]
    return [(name, path) for name, path in found if path.is_file()]


def _pages(folder: Path) -> dict[str, str]:
    return read_json(folder / PAGES)


def read_facts(folder: Path) -> dict[str, Any]:
    """The summary of a run in run.json; empty if there is none, as in the oldest run folders."""
    return read_json(folder / FACTS)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file; empty if it cannot be read."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def read_config(folder: Path) -> dict[str, Any]:
    """The settings of a run; empty if they cannot be read."""
    try:
        settings = yaml.safe_load(read_text(folder / CONFIG))
    except (yaml.YAMLError, ValueError):  # an impossible date
        return {}
    return settings if isinstance(settings, dict) else {}


def read_text(path: Path) -> str:
    """The content of a text file; empty if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def sampling_folders(folder: Path) -> list[Path]:
    """The folders of complete clips, the oldest first."""
    return sorted(path.parent for path in (folder / SAMPLES).glob(f"step-*/{LIST}"))
