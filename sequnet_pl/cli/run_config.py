"""The config.yaml of a run folder."""

from pathlib import Path

import pytorch_lightning as pl
from pytorch_lightning.cli import SaveConfigCallback

from sequnet_pl import atomic


class SaveRunConfig(SaveConfigCallback):
    """Writes the resolved config.yaml of a fit to its run folder: all that it takes to go on."""

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """See SaveConfigCallback; scoring a checkpoint leaves the config of its training as it is."""
        folder = trainer.log_dir  # all processes ask, for it is sent to all
        if stage == "fit" and trainer.is_global_zero and folder and not trainer.fast_dev_run:  # type: ignore[attr-defined]
            settings = self.config.clone()
            settings.pop("ckpt_path", None)
            text = self.parser.dump(settings, skip_none=False)
            atomic.write_text(Path(folder) / self.config_filename, text)
