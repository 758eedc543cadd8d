"""Snapshots of the published implementation, turned into checkpoints that train on, are scored and sampled from."""

import logging
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from sequnet_pl.errors import UserError
from sequnet_pl.models import registry
from sequnet_pl.models.network import Network
from sequnet_pl.models.published import from_published, network_from_weights
from sequnet_pl.training.checkpoints import read
from sequnet_pl.training.module import module_class
from sequnet_pl.training.saving import AtomicCheckpointIO
from sequnet_pl.training.trained import PUBLISHED_LAYERS

log = logging.getLogger(__name__)

_MOMENTS = ("exp_avg", "exp_avg_sq")


def convert_snapshot(snapshot: Path, out: Path, layers: int = PUBLISHED_LAYERS) -> int:
    """Write the checkpoint that Lightning would have written at the step of a published snapshot; gives that step.

    Adam's moments are converted too, so that training continues where it stopped.

    Args:
        snapshot: The file.
        out: The checkpoint to write.
        layers: Layers a block of a WaveNet.

    Raises:
        UserError: `snapshot` is none, or `out` is there already or cannot be written.
    """
    if out.exists():
        raise UserError(f"{out} is there already; choose another name")
    content = read(snapshot)
    if "model_state_dict" not in content:
        raise UserError(f"{snapshot} is not a snapshot of the published implementation")
    network = network_from_weights(content["model_state_dict"], layers)
    step, adam = int(content.get("step", 0)), content.get("optimizer_state_dict", {})
    group = (adam.get("param_groups") or [{}])[0]
    settings: dict[str, Any] = network.arguments | {name: group[name] for name in ("lr", "eps") if name in group}
    module = module_class(registry.name_of(network))(**settings)
    module.network.load_state_dict(network.state_dict())

    optimizer = module.optimization.optimizer(module.network, module.lr)
    try:
        moments = _moments(network, list(content["model_state_dict"]), adam["state"])
    except (KeyError, IndexError, RuntimeError):
        log.warning("%s does not hold the moments of Adam; training continues with new ones", snapshot)
    else:
        for name, parameter in module.network.named_parameters():
            optimizer.state[parameter] = {moment: moments[moment][name].contiguous() for moment in _MOMENTS}
            optimizer.state[parameter]["step"] = moments["step"].clone()
    AtomicCheckpointIO().save_checkpoint(_checkpoint(module, optimizer, step), out)
    return step


def _moments(network: Network, names: Sequence[str], state: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    """Adam's moments by our names; `names` are the published ones in the order in which Adam numbers them."""
    found: dict[str, Any] = {"step": state[0]["step"]}
    for moment in _MOMENTS:
        found[moment] = from_published(network, {names[index]: values[moment] for index, values in state.items()})
    return found


def _checkpoint(module: pl.LightningModule, optimizer: torch.optim.Optimizer, step: int) -> dict[str, Any]:
    """Return the checkpoint of a trainer that has done `step` steps of its first epoch."""
    trainer = pl.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False)
    names = ("fit_loop", "validate_loop", "test_loop", "predict_loop")
    loops = {name: getattr(trainer, name).state_dict() for name in names}
    loop = loops["fit_loop"]
    loop["epoch_loop.state_dict"]["_batches_that_stepped"] = step  # which loggers count
    steps = loop["epoch_loop.automatic_optimization.optim_progress"]["optimizer"]["step"]["total"]
    steps["ready"] = steps["completed"] = step
    checkpoint = {
        "epoch": 0,
        "global_step": step,
        "pytorch-lightning_version": version("pytorch-lightning"),
        "state_dict": module.state_dict(),
        "loops": loops,
        "callbacks": {},
        "optimizer_states": [optimizer.state_dict()],
        "lr_schedulers": [],
        "hyper_parameters": dict(module.hparams),
    }
    module.on_save_checkpoint(checkpoint)
    return checkpoint
