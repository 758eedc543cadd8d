"""When clips are made during training."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from torch import distributed

from sequnet_pl.errors import UsageError
from sequnet_pl.sampling.draw import SamplingParams
from sequnet_pl.training.averaging import averaged_weights
from sequnet_pl.training.clips import Program, make_clips
from sequnet_pl.training.loggers import log_sampling
from sequnet_pl.training.module import AudioModule, data_of

log = logging.getLogger(__name__)


class SampleAudio(Callback):
    """Makes a few short clips during training: always the same prompts continued, and from silence.

    They go to `samples/` in the run folder, beside what really follows the prompts, and to the loggers that take audio.
    The weights are those that a checkpoint would hold now. One process samples, and the others wait for it however long
    it takes; weights, mode and random state stay as they were. Where clips cannot be made, a warning gives the reason.

    Args:
        every_n_steps: Steps between two samplings; 0 is never.
        every_n_epochs: Epochs between two samplings; 0 is never.
        continuations: Clips that continue recordings (of val, else test, else train).
        from_silence: Clips that start from silence, at each temperature.
        seconds: Length of what is generated.
        prompt_seconds: Length of the prompt at the start of a continuation; less where a recording is shorter.
        temperature: Of the draws; 0 takes the likeliest code.
        second_temperature: Of further clips from silence; None makes none.
        seed: Of the random numbers.
    """

    def __init__(
        self,
        every_n_steps: int = 0,
        every_n_epochs: int = 1,
        continuations: int = 2,
        from_silence: int = 1,
        seconds: float = 1.0,
        prompt_seconds: float = 1.0,
        temperature: float = 1.0,
        second_temperature: float | None = 0.8,
        seed: int = 0,
    ) -> None:
        if min(every_n_steps, every_n_epochs, continuations, from_silence) < 0:
            raise UsageError(
                "sample_audio: every_n_steps, every_n_epochs, continuations, from_silence cannot be below 0"
            )
        if min(seconds, prompt_seconds) <= 0:
            raise UsageError("sample_audio: seconds and prompt_seconds must be more than 0")
        self.every_n_steps, self.every_n_epochs = every_n_steps, every_n_epochs
        temperatures = [value for value in (temperature, second_temperature) if value is not None]
        self.program = Program(
            continuations=continuations,
            from_silence=from_silence,
            seconds=seconds,
            prompt_seconds=prompt_seconds,
            temperatures=[SamplingParams(value).temperature for value in temperatures],  # UsageError below 0
            seed=seed,
        )
        self.last_step = -1
        """Of the newest sampling, -1 before the first."""
        self.seconds_taken = 0.0
        """By all samplings of this process."""
        self._folder = Path()

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        self._folder = Path(trainer.log_dir or ".") / "samples"  # in all processes, since `log_dir` is broadcast

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any, **__: Any) -> None:
        if self.every_n_steps and trainer.global_step % self.every_n_steps == 0:
            self._sample(trainer, pl_module)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.every_n_epochs and (trainer.current_epoch + 1) % self.every_n_epochs == 0:
            self._sample(trainer, pl_module)

    def _sample(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        step = trainer.global_step
        if step in (0, self.last_step) or trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        self.last_step, began = step, time.monotonic()
        with _others_wait():
            if trainer.is_global_zero:
                try:
                    self._make(trainer, module, step)
                except Exception as error:  # a run of days does not end for want of a clip
                    log.warning("no clips at step %d: %s", step, error or type(error).__name__)
        self.seconds_taken += time.monotonic() - began

    def _make(self, trainer: pl.Trainer, module: pl.LightningModule, step: int) -> None:
        folder = self._folder / f"step-{step:08d}"
        assert isinstance(module, AudioModule)
        with averaged_weights(trainer, module):
            sampling = make_clips(self.program, module, data_of(trainer), step, folder)
        log_sampling(trainer.loggers, sampling, folder)


@contextmanager
def _others_wait() -> Iterator[None]:
    """Have all processes wait for each other at the end, longer than the timeout of a step's own collectives."""
    if not distributed.is_initialized():
        yield
        return
    group = distributed.new_group(backend="gloo", timeout=timedelta(days=365))
    assert isinstance(group, distributed.ProcessGroup)  # this process is a member of it
    yield
    distributed.barrier(group)
    distributed.destroy_process_group(group)
