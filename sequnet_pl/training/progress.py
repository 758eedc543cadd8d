"""How training comes along: the bar, and throughput for the loggers."""

from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.throughput import measure_flops
from pytorch_lightning.callbacks import RichProgressBar, ThroughputMonitor
from pytorch_lightning.callbacks.progress.rich_progress import CustomTimeColumn, ProcessingSpeedColumn
from rich.progress import BarColumn, TimeRemainingColumn

from sequnet_pl.data.crops import Batch
from sequnet_pl.data.datamodule import AudioDataModule
from sequnet_pl.data.loader import CropLoader
from sequnet_pl.training.measures import Measures
from sequnet_pl.training.module import AudioModule


class AudioProgressBar(RichProgressBar):
    """Lightning's bar with bits per sample and, where Measures counts, samples learnt from a second and hours heard.

    It fits 80 columns, and is full where `max_steps` ends the run.
    """

    def __init__(self) -> None:
        super().__init__()
        self._mark: tuple[float, int] | None = None  # time without sampling, and samples heard until then
        self._rate = 0.0

    @property
    def total_train_batches(self) -> int | float:
        """Batches of the epoch, fewer where `max_steps` ends the run in it."""
        trainer, total = self.trainer, super().total_train_batches
        if trainer.max_steps < 0:
            return total
        loader = trainer.train_dataloader
        done = loader.shard.batches_done % len(loader) if isinstance(loader, CropLoader) else 0
        return min(total, done + (trainer.max_steps - trainer.global_step) * trainer.accumulate_grad_batches)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave the time of validation out of the rate."""
        super().on_validation_end(trainer, pl_module)
        self._mark = None

    def configure_columns(self, trainer: pl.Trainer) -> list[Any]:
        """Lightning's, with a short bar, the time that is left alone, and without batches a second."""
        columns = [c for c in super().configure_columns(trainer) if not isinstance(c, ProcessingSpeedColumn)]
        for place, column in enumerate(columns):
            if isinstance(column, BarColumn):
                column.bar_width = 4
            if isinstance(column, CustomTimeColumn):
                columns[place] = TimeRemainingColumn()
        return columns

    def _get_train_description(self, current_epoch: int) -> str:
        last = self.trainer.max_epochs or -1
        return f"Epoch {current_epoch}/{last - 1}" if last > 0 else f"Epoch {current_epoch}"

    def get_metrics(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, Any]:
        """What stands beside the bar; without the run's name, which has been said."""
        metrics = super().get_metrics(trainer, pl_module)
        metrics.pop("v_num", None)
        data = trainer.datamodule  # type: ignore[attr-defined]
        measures = next((each for each in trainer.callbacks if isinstance(each, Measures)), None)  # type: ignore[attr-defined]
        if trainer.state.fn == "fit" and measures and isinstance(data, AudioDataModule):
            now, heard, _ = measures.now(trainer)
            if self._mark is None:
                self._mark = now, heard
            elif now - self._mark[0] > 1:
                self._rate = (heard - self._mark[1]) / (now - self._mark[0])
                self._mark = now, heard
            hours = heard / data.hparams["sample_rate"] / 3600
            metrics |= {"samples/s": _short(self._rate), "hours": f"{hours:.2f}" if hours < 100 else f"{hours:.0f}"}
        return metrics


def _short(number: float) -> str:
    """In at most four characters."""
    for unit in ("", "k", "M"):
        if number < 999.5:
            return f"{number:.1f}{unit}" if unit and number < 9.95 else f"{number:.0f}{unit}"
        number /= 1000
    return f"{number:.0f}G"


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
