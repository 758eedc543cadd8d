"""Sound during training: the same prompts continued, and clips from silence."""

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.distributed import _InfiniteBarrier
from pytorch_lightning.callbacks import Callback

from sequnet_pl import atomic
from sequnet_pl.audio import mulaw
from sequnet_pl.audio.files import write_wav
from sequnet_pl.data.crops import scoring_plan
from sequnet_pl.data.datamodule import AudioDataModule
from sequnet_pl.errors import UsageError
from sequnet_pl.report.spectrogram import draw_spectrogram
from sequnet_pl.sampling.draw import Drawing, Noise
from sequnet_pl.sampling.generate import extend, start
from sequnet_pl.training.loggers import log_clips
from sequnet_pl.training.module import AudioModule


class SampleAudio(Callback):
    """Makes a few short clips during training: always the same prompts continued, and from silence.

    They go to `samples/` in the run folder and to the loggers that take audio. One process samples, and the others wait
    for it however long it takes; weights, mode and random state stay as they were.

    Args:
        every_n_steps: Steps between two samplings; 0 is never.
        every_n_epochs: Epochs between two samplings; 0 is never.
        continuations: Clips that go on from recordings (of val, else test, else train).
        from_silence: Clips that start from silence.
        seconds: Length of what is generated.
        prompt_seconds: Length of the prompt that is heard before a continuation.
        temperature: Of the draws; 0 takes the likeliest code.
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
        seed: int = 0,
    ) -> None:
        if min(every_n_steps, every_n_epochs, continuations, from_silence) < 0:
            raise UsageError(
                "sample_audio: every_n_steps, every_n_epochs, continuations, from_silence cannot be below 0"
            )
        if min(seconds, prompt_seconds) <= 0:
            raise UsageError("sample_audio: seconds and prompt_seconds must be more than 0")
        self.every_n_steps, self.every_n_epochs = every_n_steps, every_n_epochs
        self.continuations, self.from_silence = continuations, from_silence
        self.seconds, self.prompt_seconds = seconds, prompt_seconds
        self.drawing, self.seed = Drawing(temperature), seed
        self._last_step = -1
        self._folder = Path()

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Ask where clips go; all processes do, for it is sent to all."""
        self._folder = Path(trainer.log_dir or ".") / "samples"

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Sample where the step is due."""
        if self.every_n_steps and trainer.global_step % self.every_n_steps == 0:
            self._sample(trainer, pl_module)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Sample where the epoch is due."""
        if self.every_n_epochs and (trainer.current_epoch + 1) % self.every_n_epochs == 0:
            self._sample(trainer, pl_module)

    def _sample(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        step = trainer.global_step
        if step in (0, self._last_step):
            return
        self._last_step = step
        # the next step's own collectives would give up after their timeout
        with _InfiniteBarrier():
            if trainer.is_global_zero:
                assert isinstance(module, AudioModule)
                self._write(trainer, module, step)

    def _write(self, trainer: pl.Trainer, module: AudioModule, step: int) -> None:
        data = trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(data, AudioDataModule)
        rate = data.hparams["sample_rate"]
        heard = round(self.prompt_seconds * rate)
        prompts = self._prompts(data, max(heard, module.network.window(1).inputs))
        clips = []
        for kind, prompt, count in (("continuation", prompts, len(prompts)), ("silence", None, self.from_silence)):
            if not count:
                continue
            session = start(module.network, prompt, count)
            numbers = range(len(clips), len(clips) + count)
            samples = max(1, round(self.seconds * rate))
            blocks = list(extend(module.network, session, Noise(self.seed, numbers), self.drawing, samples))
            codes = torch.cat([block.codes for block in blocks], dim=1).cpu()
            if prompt is not None:
                codes = torch.cat((prompt[:, -heard:], codes), dim=1)
            clips += [
                (f"{kind}-{number}", mulaw.decode(row.numpy())) for number, row in zip(numbers, codes, strict=True)
            ]
        folder = self._folder / f"step-{step:08d}"
        figures = {}
        for name, samples in clips:
            border = self.prompt_seconds if name.startswith("continuation") else None
            write_wav(folder / f"{name}.wav", samples, rate)
            figures[name] = draw_spectrogram(samples, rate, border, f"{name}, step {step}")
            with atomic.replacing(folder / f"{name}.png") as temporary:
                figures[name].savefig(temporary)
        log_clips(trainer.loggers, dict(clips), figures, rate, step)

    def _prompts(self, data: AudioDataModule, length: int) -> torch.Tensor:
        """Codes (B, length) from the same places of the same recordings at every call."""
        split = next(data.splits[name] for name in ("val", "test", "train") if len(data.splits[name].lengths))
        usable = scoring_plan(split.lengths, data.hparams["sample_rate"])
        usable = usable[usable[:, 1] > 0] if (usable[:, 1] > 0).any() else usable
        if not self.continuations:
            return torch.empty((0, length), dtype=torch.uint8)
        chosen = usable[
            [len(usable) * (2 * clip + 1) // (2 * self.continuations) for clip in range(self.continuations)]
        ]
        prompts = torch.full((len(chosen), length), mulaw.SILENCE, dtype=torch.uint8)
        for row, (recording, position) in enumerate(chosen.tolist()):
            end = int(split.offsets[recording]) + position
            codes = split.codes[max(int(split.offsets[recording]), end - length) : end]
            prompts[row, length - len(codes) :] = torch.from_numpy(codes.copy())
        return prompts
