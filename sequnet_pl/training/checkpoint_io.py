"""Checkpoints as Lightning writes and reads them: whole, and as numbers only."""

from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO

from sequnet_pl import atomic
from sequnet_pl.training.checkpoints import fitting, hyper_parameters, network_name, read
from sequnet_pl.training.module import MODULES, AudioModule


class WholeCheckpointIO(TorchCheckpointIO):
    """Checkpoints written beside their place, made durable and renamed, and read with `weights_only` always."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """See TorchCheckpointIO. UserError where writing fails; what was there is then still there."""
        with atomic.replacing(Path(path)) as temporary:
            torch.save(checkpoint, temporary)

    def load_checkpoint(self, path: Any, map_location: Any = "cpu", weights_only: bool | None = True) -> dict[str, Any]:
        """See TorchCheckpointIO and `read`."""
        return read(Path(path), map_location)


def load_module(path: Path) -> tuple[AudioModule, dict[str, Any]]:
    """The module of a checkpoint with its weights, and the checkpoint's content. UserError where that fails."""
    content = read(path)
    kind = MODULES[network_name(content, path)]
    with fitting(path):
        module = kind(**hyper_parameters(content))
        module.load_state_dict(content["state_dict"])
    return module, content
