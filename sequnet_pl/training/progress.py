"""How training comes along: the bar, and throughput for the loggers."""

import time
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.throughput import measure_flops
from pytorch_lightning.callbacks import RichProgressBar, ThroughputMonitor
from pytorch_lightning.callbacks.progress.rich_progress import ProcessingSpeedColumn
from rich.progress import BarColumn

from sequnet_pl.data.crops import Batch
from sequnet_pl.data.datamodule import AudioDataModule
from sequnet_pl.training.measures import Measures
from sequnet_pl.training.module import AudioModule


class AudioProgressBar(RichProgressBar):
    """Lightning's bar with bits per sample and, where Measures counts, samples learnt from a second and hours heard."""

    def __init__(self) -> None:
        super().__init__()
        self._mark: tuple[float, int] | None = None  # when the rate was measured, and samples heard until then
        self._rate = 0.0

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave the time of validation out of the rate."""
        super().on_validation_end(trainer, pl_module)
        self._mark = None

    def configure_columns(self, trainer: pl.Trainer) -> list[Any]:
        """Lightning's columns with a short bar and without batches a second, so that 80 characters hold the rest."""
        columns = [c for c in super().configure_columns(trainer) if not isinstance(c, ProcessingSpeedColumn)]
        for column in columns:
            if isinstance(column, BarColumn):
                column.bar_width = 6
        return columns

    def get_metrics(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, Any]:
        """What stands beside the bar; without the run's name, which has been said."""
        metrics = super().get_metrics(trainer, pl_module)
        metrics.pop("v_num", None)
        data = trainer.datamodule  # type: ignore[attr-defined]
        measures = next((each for each in trainer.callbacks if isinstance(each, Measures)), None)  # type: ignore[attr-defined]
        if trainer.training and measures and isinstance(data, AudioDataModule):
            now, heard = time.monotonic(), measures.heard
            if self._mark is None:
                self._mark = now, heard
            elif now - self._mark[0] > 1:
                self._rate = (heard - self._mark[1]) / (now - self._mark[0])
                self._mark = now, heard
            metrics["samples/s"] = f"{self._rate / 1000:.0f}k"
            metrics["hours"] = f"{heard / data.hparams['sample_rate'] / 3600:.2f}"
        return metrics


class Throughput(ThroughputMonitor):
    """Lightning's ThroughputMonitor for crops: batches, crops and predicted samples a second, and floating point work.

    Args:
        window_size: Batches over which speeds are averaged.
    """

    def __init__(self, window_size: int = 100) -> None:
        super().__init__(_crops, window_size=window_size)
        self._training_flops = self._scoring_flops = 0

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Count the floating point operations of a batch, and the samples that it predicts."""
        data = trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(pl_module, AudioModule) and isinstance(data, AudioDataModule)
        network = pl_module.network
        inputs, outputs = network.window(data.hparams["output_size"])
        self.length_fn = lambda batch: len(batch.codes) * outputs
        codes = torch.zeros(data.batch_size, inputs, dtype=torch.uint8, device=pl_module.device)
        with trainer.precision_plugin.forward_context():
            self._scoring_flops = measure_flops(network, lambda: network(codes))
            self._training_flops = measure_flops(network, lambda: network(codes), lambda logits: logits.float().mean())
        pl_module.zero_grad()
        _tell(pl_module, self._training_flops)

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Nothing goes backward in validation."""
        _tell(pl_module, self._scoring_flops)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Training goes on."""
        _tell(pl_module, self._training_flops)


def _tell(module: pl.LightningModule, flops: int) -> None:
    object.__setattr__(module, "flops_per_batch", flops)  # where ThroughputMonitor looks


def _crops(batch: Batch) -> int:
    return len(batch.codes)
