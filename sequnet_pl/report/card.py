"""The model card beside a run's checkpoints: what was learnt, from what, how well, and how to hear it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from sequnet_pl import atomic
from sequnet_pl.project import command
from sequnet_pl.report.charts import REFERENCES
from sequnet_pl.report.metrics import Metrics
from sequnet_pl.report.run_folder import read_config, read_facts

CARD = "MODEL.md"

PRIVATE = ("audio_dir", "audio_list", "recordings", "data_dir", "held_out")  # places on somebody's disk
"""Settings that are nobody's business."""
_TRAINER = ("precision", "max_steps", "max_epochs", "gradient_clip_val", "accumulate_grad_batches")
RIGHTS = (
    "The recordings are their owners', and nothing here says under which licence they may be used. Before you publish "
    "this checkpoint or what it generates, check that you have the right to."
)


def write_card(folder: Path, checkpoints: Path) -> None:
    """Write `MODEL.md` beside the checkpoints of a run folder. Raises UserError where that fails."""
    facts, config, metrics = read_facts(folder), read_config(folder), Metrics(folder)
    use = ("--ckpt_path", told_checkpoint(checkpoints, metrics))
    lines = [
        f"# {facts.get('network', 'network')} {folder.name}",
        f"A network that makes raw audio at {facts.get('sample_rate', '?')} Hz, one sample at a time (sequnet_pl, "
        f"commit {facts.get('commit') or 'unknown'}): {facts.get('parameters', 0):,} parameters, receptive field "
        f"{receptive_field(facts)}.",
        *begun_from(facts),
        "## Data",
        "\n".join(data_lines(facts.get("data", {}))),
        RIGHTS,
        "## Score",
        "\n".join(_scores(metrics)),
        "## Use",
        f"    {command('sample', *use)}\n    {command('train', 'test', *use)}",
        "## Settings",
        f"```yaml\n{yaml.safe_dump(recipe(config), sort_keys=False)}```",
    ]
    atomic.write_text(checkpoints / CARD, "\n\n".join(lines) + "\n")


def receptive_field(facts: Mapping[str, Any]) -> str:
    """Return the receptive field of a run's network in words."""
    milliseconds = facts.get("receptive_field_ms", "?")
    return "unbounded" if milliseconds is None else f"{milliseconds} ms"


def begun_from(facts: Mapping[str, Any]) -> Iterator[str]:
    """The weights that it was fine-tuned from, by name and hash; where they lie is nobody's business."""
    if begun := facts.get("begun_from"):
        yield f"Begun from the weights of {Path(begun['path']).name}, step {begun['step']:,}, hash {begun['weights']}."


def told_checkpoint(checkpoints: Path, metrics: Metrics) -> Path:
    """The one with the best score that the metrics tell; another best one, or the last, where that is not there."""
    step, _ = metrics.best("val/bits_per_sample") or (0, 0.0)
    found = [checkpoints / f"best-step{step:08d}.ckpt", *sorted(checkpoints.glob("best-*.ckpt"))]
    return next((path for path in found if path.is_file()), checkpoints / "last.ckpt")


def data_lines(data: Mapping[str, Any]) -> Iterator[str]:
    """What a run's facts say of its data."""
    yield f"- fingerprint {data.get('fingerprint', 'unknown')}"
    for name, split in data.get("splits", {}).items():
        yield f"- {name}: recordings: {split['recordings']}, {split['hours']} hours"


def _scores(metrics: Metrics) -> Iterator[str]:
    """Bits per sample, and what they are to be compared with."""
    yield f"- logged until step {metrics.steps:,}, {metrics.last('hours_heard') or 0:.2f} hours of audio heard"
    if best := metrics.best("val/bits_per_sample"):
        yield f"- best validation: {best[1]:.3f} bits per sample at step {best[0]:,} (lower is better, 8 is a guess)"
    for name, label in REFERENCES.items():
        if (bits := metrics.last(name)) is not None:
            yield f"- {label}: {bits:.3f}"


def recipe(config: Mapping[str, Any]) -> dict[str, Any]:
    """What shapes the network and its training, without places on a disk."""
    data = {name: value for name, value in config.get("data", {}).items() if name not in PRIVATE}
    trainer = {name: config.get("trainer", {}).get(name) for name in _TRAINER}
    run = {name: config.get(name) for name in ("gpu_precision", "seed_everything")}
    return {"model": config.get("model"), "data": data, "trainer": trainer, **run}
