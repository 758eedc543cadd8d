"""The progress bar of a terminal."""

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import RichProgressBar
from rich.console import Console


class ProgressBar(RichProgressBar):
    """Lightning's bar without the version of a logger, which is a folder here."""

    def get_metrics(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, Any]:
        """Return what is shown beside the bar."""
        items = super().get_metrics(trainer, pl_module)
        return {name: value for name, value in items.items() if name != "v_num"}


def shows_progress() -> bool:
    """Return whether the output is a terminal or a notebook; elsewhere a bar would be printed once, at its end."""
    console = Console()
    return console.is_terminal or console.is_jupyter
