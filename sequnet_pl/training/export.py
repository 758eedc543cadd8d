"""A trained network to give to others: its weights in bfloat16 and no more, and a model card."""

import io
import json
from importlib.metadata import version
from pathlib import Path

import torch
import yaml

from sequnet_pl import atomic, pretrained
from sequnet_pl.models import registry
from sequnet_pl.pretrained import WEIGHTS, excerpts
from sequnet_pl.report.card import CARD, PRIVATE, RIGHTS, begun_from, data_lines, training_settings
from sequnet_pl.report.page import fixed, receptive_field
from sequnet_pl.report.run_folder import read_config, read_summary
from sequnet_pl.training.checkpoints import hyper_parameters, read, run_of_checkpoint
from sequnet_pl.training.trained import Trained, load_trained

_BUILTIN = (
    "Public-domain melodies, played and synthesised by sequnet_pl itself: nobody's recordings. The weights are under "
    "the MIT licence, as the project is."
)

_SOURCES = ("audio_dir", "audio_list", "recordings")

_EXCERPTS = (
    f"`{excerpts.FILE}` holds excerpts of held-out recordings, which `sample.py --pretrained` continues, as mu-law "
    "codes. They belong to the owners of the recordings."
)


def write_export(checkpoint: Path, folder: Path, log_dir: Path) -> tuple[Path, bool]:
    """Write the network of a checkpoint to `folder`; gives its new checkpoint, and whether the card has a score.

    That can be sampled, scored and fine-tuned as any other. The score is that of a `test.json` in `folder`, where it is
    newer than the weights, else that of the run, which is looked for around the checkpoint and below `log_dir`.
    Raises UserError where there is no network in `checkpoint`, or `folder` cannot be written.
    """
    trained, weights = load_trained(checkpoint), folder / WEIGHTS
    rounded = {name: tensor.bfloat16() for name, tensor in trained.network.state_dict().items()}
    trained.network.load_state_dict(rounded)
    data = {name: value for name, value in trained.data.items() if name not in PRIVATE}
    if any(trained.data.get(name) for name in _SOURCES):
        data.pop("dataset", None)  # which these replaced
    content = {
        "network": trained.name,
        "hyper_parameters": trained.network.arguments | {"label_names": list(trained.labels) or None},
        "datamodule_hyper_parameters": data,
        "state_dict": {f"network.{name}": tensor for name, tensor in rounded.items()},
        "global_step": trained.step,
        "pytorch-lightning_version": version("pytorch-lightning"),
        "callbacks": {},  # which Lightning requires
    }
    buffer = io.BytesIO()
    torch.save(content, buffer)
    if not weights.is_file() or weights.read_bytes() != buffer.getvalue():  # else a newer score is its own
        with atomic.replacing(weights) as temporary:
            temporary.write_bytes(buffer.getvalue())
    run = run_of_checkpoint(checkpoint, log_dir)
    own, trains = folder / "test.json", run and run.folder / "test.json"
    score: list[str] = []
    if own.is_file() and own.stat().st_mtime >= weights.stat().st_mtime:
        score = _score(own, trained.step, "these weights")
    if not score and trains:
        score = _score(trains, trained.step, "the weights before they were rounded to bfloat16")
    atomic.write_text(folder / CARD, _card(folder.resolve(), trained, checkpoint, run and run.folder, score))
    return weights, bool(score)


def _score(path: Path, step: int, what: str) -> list[str]:
    """The scores of a test, if it is of this step."""
    try:
        scores = json.loads(path.read_text(encoding="utf-8"))
        bits = [f"- {name}: {fixed(value)}" for name, value in scores["bits_per_sample"].items()]
        found = [f"Bits per sample of {what} on the test recordings, lower is better:\n", *bits]
        return found if scores["step"] == step else []
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []


def _card(folder: Path, trained: Trained, checkpoint: Path, run: Path | None, score: list[str]) -> str:
    content, facts = read(checkpoint), read_summary(run) if run else {}
    config = (read_config(run) if run else {}) or {"model": hyper_parameters(content), "data": trained.data}
    network, data = trained.network, trained.data
    sources = [data.get(source) for source in _SOURCES]
    ours = data.get("dataset") == "builtin" and not any([*sources, facts.get("begun_from")])
    is_bundled = folder.parent == pretrained.FOLDER
    averaged = " These are averaged weights." if "averaging_state" in content else ""
    lines = [
        f"# {folder.name}",
        f"A {registry.title(trained.name)} that generates raw audio at {trained.sample_rate} Hz, one sample at a time "
        f"(sequnet_pl, commit {facts.get('commit') or 'unknown'}): "
        f"{sum(parameter.numel() for parameter in network.parameters()):,} parameters in bfloat16, receptive field "
        f"{receptive_field(network.receptive_field, trained.sample_rate)}; {trained.step:,} steps of training."
        f"{averaged} Hash of the weights: {trained.digest}.",
        *begun_from(facts),
        *([f"Labels, for `sample.py --label`: {', '.join(trained.labels)}."] if trained.labels else []),
        "## Data and licence",
        _BUILTIN if ours else RIGHTS,
        "\n".join(data_lines(facts.get("data", {}))),
        *([_EXCERPTS] if (folder / excerpts.FILE).is_file() else []),
        "## Score",
        "\n".join(score) or "Not tested yet.",
        "## Use",
        f"    python sample.py {f'--pretrained {folder.name}' if is_bundled else f'--ckpt_path {WEIGHTS}'}\n"
        f"    python train.py --init_from {folder.name if is_bundled else WEIGHTS} --audio_dir FOLDER",
        "## Recipe",
        f"```yaml\n{yaml.safe_dump(training_settings(config), sort_keys=False)}```",
    ]
    return "\n\n".join(lines) + "\n"
