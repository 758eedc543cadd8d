"""Hours of audio that a run was trained on, time and speed: logged in one row with its scores."""

import logging
import resource
import sys
import time
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.rank_zero import rank_zero_only
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from sequnet_pl.data.loader import CropLoader
from sequnet_pl.training.metrics import references
from sequnet_pl.training.module import callbacks_of, data_of, ends_step
from sequnet_pl.training.sampling import SampleAudio

log = logging.getLogger(__name__)


def row_is_due(trainer: pl.Trainer, step: int) -> bool:
    """Return whether Lightning logs a row of training metrics after `step` steps."""
    every = trainer.log_every_n_steps  # type: ignore[attr-defined]
    return bool(trainer.loggers) and every > 0 and step % every == 0


class Measures(Callback):
    """Logs, with each row of `train/` and `val/` scores, what these can be drawn over and compared with.

    `hours_heard` (of audio, as targets, by all processes) and `wall_hours` (of training, validation and sampling)
    continue when a run is resumed. `speed/samples_per_second` and `speed/data_wait` (the share of time spent waiting
    for batches) are of the steps since the row before, without validation and sampling; `speed/memory_gib` is the peak
    of the GPU, or of this process on the CPU. `reference/` are bits per sample of n-gram baselines. A warning is logged
    once if batches take more than half of the time.
    """

    def __init__(self) -> None:
        self._samples: Tensor | int = 0  # on the device, which is not waited for
        self._seconds = 0.0  # before the run was resumed
        self._began = time.monotonic()
        self._references: dict[str, float] = {}
        self.scored_at = -1
        """The step of the newest validation."""
        self._mark: tuple[float, int, float] | None = None  # time without sampling, samples seen, seconds waited
        self._measured = (0.0, 0)  # seconds and samples of all steps whose speed is known
        self._warned = False

    def state_dict(self) -> dict[str, Any]:
        return {"samples_seen": self.samples_seen, "seconds": self._wall_seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        name = "samples_seen" if "samples_seen" in state_dict else "heard"  # as in older checkpoints
        self._samples = state_dict[name]
        self._seconds = state_dict["seconds"]

    @property
    def samples_seen(self) -> int:
        """Targets that the run was trained on, in all processes and before it was resumed; waits for the device."""
        return int(self._samples)

    @property
    def samples_per_second(self) -> float:
        """Speed of all steps of this process, without validation and sampling; 0 if none was measured."""
        seconds, samples = self._measured
        return samples / seconds if seconds else 0.0

    @property
    def _wall_seconds(self) -> float:
        return self._seconds + time.monotonic() - self._began

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._began, self._mark = time.monotonic(), None
        if trainer.loggers and trainer.is_global_zero:  # which logs them
            self._references = references(data_of(trainer))

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any, **__: Any) -> None:
        if self._mark is None:  # the first batch, for which workers were started, has come
            self._mark = self._now(trainer)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any, **__: Any) -> None:
        self._samples = self._samples + pl_module.batch_targets  # type: ignore[operator]
        if not ends_step(trainer) or not row_is_due(trainer, trainer.global_step):
            return
        speed = self._speed(trainer)
        self._log(trainer, pl_module, {"speed/memory_gib": _memory(pl_module.device) / 2**30} | speed)
        if speed:
            rate = round(self.samples_per_second)
            pl_module.log("samples/s", rate, prog_bar=True, logger=False, batch_size=1)
        waiting = speed.get("speed/data_wait", 0.0)
        if waiting > 0.5 and not self._warned:
            self._warned = True
            log.warning("loading batches takes %.0f %% of the time: try more --num_workers", 100 * waiting)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.state.fn == "fit":
            self._speed(trainer)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._speed(trainer)
        if self._measured[0]:
            rank_zero_only(print)(
                f"trained until step {trainer.global_step:,}, {self.samples_per_second:,.0f} samples per second"
            )

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self.scored_at = trainer.global_step
        self._mark = None  # the time of validation is not of the speed

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.loggers and trainer.state.fn == "fit" and not trainer.sanity_checking:
            self._log(trainer, pl_module, {})

    def clock(self, trainer: pl.Trainer) -> dict[str, float]:
        """Return the hours that scores can be drawn over."""
        rate = data_of(trainer).hparams["sample_rate"]
        return {"hours_heard": self.samples_seen / rate / 3600, "wall_hours": self._wall_seconds / 3600}

    def _log(self, trainer: pl.Trainer, module: pl.LightningModule, speed: dict[str, float]) -> None:
        for name, value in (self.clock(trainer) | speed | self._references).items():
            module.log(name, value, batch_size=1, rank_zero_only=True)

    def _speed(self, trainer: pl.Trainer) -> dict[str, float]:
        """Since the mark, which is then reset."""
        now, before = self._now(trainer), self._mark
        self._mark = now
        if before is None or now[0] <= before[0]:
            return {}
        seconds, samples, waited = (a - b for a, b in zip(now, before, strict=True))
        self._measured = (self._measured[0] + seconds, self._measured[1] + int(samples))
        return {"speed/samples_per_second": samples / seconds, "speed/data_wait": waited / seconds}

    def _now(self, trainer: pl.Trainer) -> tuple[float, int, float]:
        """Seconds on a clock that stops while clips are made, samples seen, and seconds waited for batches."""
        loader = trainer.train_dataloader
        sampling = sum(each.seconds_taken for each in callbacks_of(trainer, SampleAudio))
        return time.monotonic() - sampling, self.samples_seen, loader.waited if isinstance(loader, CropLoader) else 0.0


def _memory(device: torch.device) -> int:
    """Bytes at the peak: of the GPU, else of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
