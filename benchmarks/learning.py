"""Bits per sample after as many steps, or as much processor time, by settings.

Trains each setting with each seed, and scores the test split. Results are kept in a JSON file as they come, so that an
interrupted comparison is continued.
"""

import argparse
import json
import statistics
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from rich.console import Console
from rich.table import Table

from sequnet_pl import atomic
from sequnet_pl.data.datamodule import AudioDataModule
from sequnet_pl.training.module import AudioModule, module_class

NETWORKS: dict[str, dict[str, Any]] = {
    "sequnet": {"levels": 8, "features": 32, "depth": 1, "kernel_size": 5},
    "wavenet": {"layers": 9, "blocks": 2, "dilation_channels": 32, "residual_channels": 32, "skip_channels": 64},
    "sashimi": {"features": 32, "blocks": 1, "norm": False, "head": 64},
}
"""Shapes by the name of the network."""
REPETITIONS, STEPS_OF_EACH = 6, 10
_FAST = {"lr": 2e-2, "beta2": 0.95, "warmup": 0.1, "anneal": True, "clip": 1.0, "code_frequency": 10.0}
_SMALL_STEPS = {"kernel_size": 3, "depth": [3, 1], "head": 64, "batch_size": 1}
SETTINGS: dict[str, dict[str, Any]] = {
    "published": {},
    "fast": _FAST,
    "sequnet best": _FAST | _SMALL_STEPS | {"muon": 7.5e-3},
    "sequnet best, long": _FAST | _SMALL_STEPS | {"muon": 6e-3, "lr": 1.2e-2},
    "sequnet memory": _FAST | _SMALL_STEPS | {"muon": 7.5e-3, "state": 64},
    "sequnet memory, long": _FAST | _SMALL_STEPS | {"muon": 6e-3, "lr": 1.2e-2, "state": 64},
    "wavenet best": _FAST | {"muon": 0.02, "batch_size": 1},
    "wavenet best, long": _FAST | {"muon": 1e-2, "lr": 1.2e-2, "batch_size": 1},
    "sashimi best": _FAST | {"muon": 1e-2, "lr": 1.5e-2, "batch_size": 1, "output_size": 2048},
    "sashimi best, long": _FAST | {"muon": 6e-3, "lr": 1.2e-2, "batch_size": 1, "output_size": 2048},
}
"""Differences from the published settings: `clip` is the trainer's, sizes are the data's, the others the module's.
"long" is for trainings of thousands of steps."""

Variant = tuple[str, str]
"""A network, and its setting."""
_OF_THE_DATA = ("batch_size", "output_size")


def unsupported_option(network: str, setting: str) -> str | None:
    """Return an option of a setting that a network lacks, such as head; None where it has all."""
    known = module_class(network)(**NETWORKS[network]).hparams
    return next((name for name in SETTINGS[setting] if name not in {*known, "clip", *_OF_THE_DATA}), None)


def fitted(
    network: str, setting: str, seed: int, steps: int, data: dict[str, Any], *callbacks: Callback
) -> tuple[pl.Trainer, AudioModule, AudioDataModule]:
    """Train a network for a number of steps."""
    pl.seed_everything(seed, verbose=False)
    options = dict(SETTINGS[setting])
    clip = options.pop("clip", None)
    crops = {name: options.pop(name) for name in _OF_THE_DATA if name in options}
    datamodule = AudioDataModule(**data | crops, seed=seed)
    trainer = pl.Trainer(
        accelerator="auto",
        devices=1,
        max_steps=steps,
        max_epochs=-1,
        gradient_clip_val=clip,
        callbacks=list(callbacks),
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
        use_distributed_sampler=False,
    )
    module = module_class(network)(**NETWORKS[network] | options)
    trainer.fit(module, datamodule)
    return trainer, module, datamodule


def bits(network: str, setting: str, seed: int, steps: int, data: dict[str, Any]) -> float:
    """Return bits per sample on the test split after training."""
    trainer, module, datamodule = fitted(network, setting, seed, steps, data)
    (scores,) = trainer.test(module, datamodule, verbose=False)
    return float(scores["test/bits_per_sample"])


class Clock(Callback):
    """Measures processor seconds of each step, loading and optimizer included."""

    def __init__(self) -> None:
        self._ends: list[float] = []

    def on_train_batch_end(self, *_: Any, **__: Any) -> None:
        self._ends.append(time.process_time())

    @property
    def seconds(self) -> float:
        """Seconds of the fastest step: other jobs only add to it."""
        return min(end - begin for begin, end in pairwise(self._ends))


def as_many_steps(variant: Variant, other: Variant, steps: int, data: dict[str, Any]) -> int:
    """Return the steps of a variant that take as long as `steps` of another one; some steps of both are timed."""
    if variant == other:
        return steps
    clocks = Clock(), Clock()
    for _ in range(REPETITIONS):
        for (network, setting), clock in zip((other, variant), clocks, strict=True):
            fitted(network, setting, 0, STEPS_OF_EACH, data, clock)
    return round(steps * clocks[0].seconds / clocks[1].seconds)


def named(text: str) -> Variant:
    """Parse [NETWORK/]SETTING; the network is empty where none is named."""
    network, slash, setting = text.rpartition("/")
    if setting not in SETTINGS or (slash and network not in NETWORKS):
        raise argparse.ArgumentTypeError(f"{text!r} is no [NETWORK/]SETTING; settings are {', '.join(SETTINGS)}")
    return network, setting


def as_long_as(text: str) -> tuple[str, str, int]:
    """Parse [NETWORK/]SETTING:STEPS; the network is empty where none is named."""
    variant, _, steps = text.rpartition(":")
    if not steps.isdecimal() or int(steps) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no [NETWORK/]SETTING:STEPS, such as fast:400, wavenet/fast:400")
    return *named(variant), int(steps)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learning", description=__doc__)
    parser.add_argument("--audio_dir", help="recordings; without it the built-in piano")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    named_settings = {"type": named, "nargs": "+", "metavar": "[NETWORK/]SETTING"}
    help_text = f"for all --networks, unless one is named: {', '.join(SETTINGS)}"
    parser.add_argument("--settings", **named_settings, default=[("", "published"), ("", "fast")], help=help_text)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--steps", type=int, default=400)
    help_text = "instead of --steps: as many as take the processor time of these steps, by default of the same network"
    parser.add_argument("--as_long_as", type=as_long_as, metavar="[NETWORK/]SETTING:STEPS", help=help_text)
    parser.add_argument("--output_size", type=int, default=4096)
    parser.add_argument("--batch_size", type=int, default=4)
    parser.add_argument("--data_dir", default=str(Path(tempfile.gettempdir()) / "sequnet_pl-learning"))
    parser.add_argument("--json", type=Path, default=Path("learning.json"))
    arguments = parser.parse_args()
    arguments.variants = []
    for named_network, setting in arguments.settings:
        networks = [named_network] if named_network else arguments.networks
        arguments.variants += [(network, setting) for network in networks]
    arguments.others = arguments.variants
    if arguments.as_long_as:
        other, its_setting, arguments.steps = arguments.as_long_as
        arguments.others = [(other or network, its_setting) for network, _ in arguments.variants]
    for network, setting in arguments.variants + arguments.others:
        if name := unsupported_option(network, setting):
            parser.error(f"{network} has no {name}, which the setting {setting!r} needs")
    return arguments


def main() -> None:
    """Train and score all, and print the table."""
    arguments = options()
    torch.set_flush_denormal(True)
    source = {"audio_dir": arguments.audio_dir} if arguments.audio_dir else {"dataset": "builtin"}
    sizes = {"output_size": arguments.output_size, "batch_size": arguments.batch_size, "num_workers": 0}
    data = source | sizes | {"data_dir": arguments.data_dir}
    results: dict[str, float] = json.loads(arguments.json.read_text()) if arguments.json.is_file() else {}
    table = Table("network", "settings", "steps", "bits per sample", "seeds")
    for variant, other in zip(arguments.variants, arguments.others, strict=True):
        network, setting = variant
        key = f"{', '.join(variant)}, steps as long as {arguments.steps} of {', '.join(other)}, {source}, {sizes}"
        if key not in results:  # so that a continued comparison makes as many
            results[key] = as_many_steps(variant, other, arguments.steps, data)
            atomic.write_text(arguments.json, json.dumps(results, indent=2))
        scores, steps = [], int(results[key])
        for seed in arguments.seeds:
            key = f"{', '.join(variant)}, seed {seed}, {steps} steps, {source}, {sizes}"
            if key not in results:
                results[key] = bits(network, setting, seed, steps, data)
                atomic.write_text(arguments.json, json.dumps(results, indent=2))
            scores.append(results[key])
        each = " ".join(f"{score:.3f}" for score in scores)
        table.add_row(*variant, str(steps), f"{statistics.mean(scores):.3f}", each)
        Console().print(f"{' '.join(variant)}, {steps} steps: {each}")
    Console().print(table)


if __name__ == "__main__":
    main()
