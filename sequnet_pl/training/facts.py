"""What a run is, in a file of its folder: enough for its report, its model card and the settings that loggers show."""

import json
import subprocess
from pathlib import Path
from typing import Any

from sequnet_pl import atomic
from sequnet_pl.data.datamodule import AudioDataModule
from sequnet_pl.project import this_command
from sequnet_pl.report.run_folder import FACTS, read_facts
from sequnet_pl.training.module import NAMES, AudioModule

_PROJECT = Path(__file__).parents[2]


def write_facts(
    folder: Path, module: AudioModule, data: AudioDataModule, begun_from: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Write and give the facts of a run; a run that goes on adds its command, and keeps what it has begun from.

    Raises UserError where that fails.
    """
    rate, network, before = data.hparams["sample_rate"], module.network, read_facts(folder)
    commands = [*before.get("commands", []), this_command()]
    facts: dict[str, Any] = {
        "network": NAMES[type(module)],
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "receptive_field_ms": round(1000 * network.receptive_field / rate, 1),
        "sample_rate": rate,
        "begun_from": begun_from or before.get("begun_from"),
        "commit": git_commit(),
        "commands": commands,
        "data": {
            "fingerprint": data.fingerprint,
            "store": data.store.name,
            "splits": {
                name: {"recordings": len(split.lengths), "hours": round(float(split.lengths.sum()) / rate / 3600, 3)}
                for name, split in data.splits.items()
            },
        },
    }
    atomic.write_text(folder / FACTS, json.dumps(facts, indent=1))
    return facts


def git_commit(project: Path = _PROJECT) -> str | None:
    """The commit that is checked out, with "+" where files differ from it; None without git or outside a checkout."""
    if not (project / ".git").exists():
        return None  # installed, perhaps below a repository of something else
    try:
        commit, changes = (
            subprocess.run(["git", *words], cwd=project, capture_output=True, text=True, check=True, timeout=10).stdout
            for words in (("rev-parse", "--short=12", "HEAD"), ("status", "--porcelain", "--untracked-files=no"))
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return commit.strip() + "+" * bool(changes)
