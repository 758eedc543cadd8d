"""The model card beside a run's checkpoints: network, data, score, commands and settings."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from sequnet_pl import atomic
from sequnet_pl.models import registry
from sequnet_pl.project import command
from sequnet_pl.report.charts import references
from sequnet_pl.report.run_folder import Metrics, read_config, read_summary

CARD = "MODEL.md"

PRIVATE = ("audio_dir", "audio_list", "recordings", "data_dir", "held_out")
"""Settings that are left out of cards, since they are paths of a private disk."""
_TRAINER = ("precision", "max_steps", "max_epochs", "gradient_clip_val", "accumulate_grad_batches")
RIGHTS = (
    "The recordings belong to their owners, and their licence is not known here. Before you publish this checkpoint or "
    "what it generates, check that you have the right to."
)


def write_card(folder: Path, checkpoints: Path) -> None:
    """Write `MODEL.md` beside the checkpoints of a run folder. Raises UserError if that fails."""
    facts, metrics = read_summary(folder), Metrics(folder)
    use = ["--ckpt_path", recommended_checkpoint(checkpoints, metrics), *registry.options(facts.get("network", ""))]
    scores = [f"- logged until step {metrics.steps:,}, {metrics.last('hours_heard') or 0:.2f} hours of audio"]
    if best := metrics.best("val/bits_per_sample"):
        scores.append(f"- best validation: {best[1]:.3f} bits per sample at step {best[0]:,} (lower is better)")
    scores += [f"- {label}: {bits:.3f}" for label, bits in references(metrics).items()]
    lines = [
        f"# {facts.get('network', 'network')} {folder.name}",
        f"A network that generates raw audio at {facts.get('sample_rate', '?')} Hz, one sample at a time (sequnet_pl, "
        f"commit {facts.get('commit') or 'unknown'}): {facts.get('parameters', 0):,} parameters, receptive field "
        f"{receptive_field(facts)}.",
        *begun_from(facts),
        "## Data",
        "\n".join(data_lines(facts.get("data", {}))),
        RIGHTS,
        "## Score",
        "\n".join(scores),
        "## Use",
        f"    {command('sample', *use)}\n    {command('train', 'test', *use)}",
        "## Settings",
        f"```yaml\n{yaml.safe_dump(training_settings(read_config(folder)), sort_keys=False)}```",
    ]
    atomic.write_text(checkpoints / CARD, "\n\n".join(lines) + "\n")


def receptive_field(facts: Mapping[str, Any]) -> str:
    """Return the receptive field of a run's network in words."""
    milliseconds = facts.get("receptive_field_ms")
    return "unbounded" if milliseconds is None else f"{milliseconds:,} ms"


def begun_from(facts: Mapping[str, Any]) -> Iterator[str]:
    """The weights that it was fine-tuned from, by name and hash, without their path."""
    if begun := facts.get("begun_from"):
        name, step, digest = Path(begun["path"]).name, begun["step"], begun["weights"]
        yield f"Initialised from the weights of {name}, step {step:,}, hash {digest}."


def recommended_checkpoint(checkpoints: Path, metrics: Metrics) -> Path:
    """The checkpoint with the best score of the metrics; another best one, or the last, if it does not exist."""
    step, _ = metrics.best("val/bits_per_sample") or (0, 0.0)
    found = [checkpoints / f"best-step{step:08d}.ckpt", *sorted(checkpoints.glob("best-*.ckpt"))]
    return next((path for path in found if path.is_file()), checkpoints / "last.ckpt")


def data_lines(data: Mapping[str, Any]) -> Iterator[str]:
    """Fingerprint and splits of the data in a run's summary."""
    yield f"- fingerprint {data.get('fingerprint', 'unknown')}"
    for name, split in data.get("splits", {}).items():
        yield f"- {name}: recordings: {split['recordings']}, {split['hours']} hours"


def training_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of the network and its training, without paths."""
    data = {name: value for name, value in config.get("data", {}).items() if name not in PRIVATE}
    trainer = {name: config.get("trainer", {}).get(name) for name in _TRAINER}
    run = {name: config.get(name) for name in ("gpu_precision", "seed_everything")}
    return {"model": config.get("model"), "data": data, "trainer": trainer, **run}
