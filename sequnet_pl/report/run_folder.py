"""What a run folder holds, for pages that are made of its files alone."""

import json
from pathlib import Path
from typing import Any

import yaml

from sequnet_pl.report.sampled import LIST

FACTS = "run.json"
WARNINGS = "warnings.txt"
CONFIG = "config.yaml"
SAMPLES = "samples"


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
    except yaml.YAMLError:
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
