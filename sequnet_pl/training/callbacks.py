"""Callbacks: the newest checkpoint, sound during training, and a score told beside what is normal."""

import json
import logging
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, ModelCheckpoint, RichProgressBar
from rich.console import Console
from rich.table import Table

from sequnet_pl import atomic
from sequnet_pl.audio import mulaw
from sequnet_pl.audio.files import write_wav
from sequnet_pl.data.crops import scoring_plan
from sequnet_pl.data.datamodule import AudioDataModule
from sequnet_pl.data.entropy import pair_counts, table_entropies
from sequnet_pl.errors import UsageError
from sequnet_pl.report.spectrogram import draw_spectrogram
from sequnet_pl.sampling.draw import Drawing, Noise
from sequnet_pl.sampling.generate import extend, start
from sequnet_pl.training.loggers import log_clips
from sequnet_pl.training.module import AudioModule

log = logging.getLogger(__name__)


class LastCheckpoint(ModelCheckpoint):
    """Keeps `last.ckpt`: every so many steps, at the end of training, and when training is interrupted.

    Args:
        dirpath: Folder of the checkpoint.
        every_n_steps: Steps between two saves.
    """

    def __init__(self, dirpath: str | None = None, every_n_steps: int = 1000) -> None:
        super().__init__(
            dirpath,
            every_n_train_steps=every_n_steps,
            save_top_k=0,
            save_last=True,
            enable_version_counter=False,  # else a resumed run would write last-v1.ckpt
        )

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save where it is due, and when training stops here: afterwards Lightning counts the epoch as a whole one."""
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        if trainer.should_stop or trainer.global_step == trainer.max_steps:
            self._save(trainer)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save what the last steps have learnt."""
        self._save(trainer)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Save where an interrupted or failed run stands."""
        if not trainer.global_step:
            return
        progress = trainer.fit_loop.epoch_loop.batch_progress.current
        # a batch that was under way is to come again
        if progress.ready > progress.processed:  # type: ignore[attr-defined]
            trainer.train_dataloader.shard.batches_done -= 1  # type: ignore[union-attr]
        self._save(trainer)

    def _save(self, trainer: pl.Trainer) -> None:
        if not self._should_skip_saving_checkpoint(trainer):
            self._save_last_checkpoint(trainer, self._monitor_candidates(trainer))


class SampleAudio(Callback):
    """Makes a few short clips during training: always the same prompts continued, and from silence.

    They go to `samples/` in the run folder and to the loggers that take audio. One process samples; weights, mode and
    random state stay as they were.

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
        if not trainer.is_global_zero or step in (0, self._last_step):
            return
        self._last_step = step
        assert isinstance(module, AudioModule)
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


class AudioProgressBar(RichProgressBar):
    """Lightning's bar, without the run's name, which has been said."""

    def get_metrics(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, Any]:
        """What stands beside the bar."""
        metrics = super().get_metrics(trainer, pl_module)
        metrics.pop("v_num", None)
        return metrics


class ScoreTable(Callback):
    """Tells the test's score beside what is normal: a uniform guess, and tables of codes learnt on train.

    Args:
        folder: Where `test.json` goes, the run folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Print the score where validation is all that was asked for."""
        if trainer.is_global_zero and trainer.state.fn == "validate":
            Console().print({name: float(value) for name, value in trainer.callback_metrics.items()})

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Print the table and write it to `test.json` in the run folder."""
        if not trainer.is_global_zero:
            return
        data = trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(data, AudioDataModule)
        single, pairs = table_entropies(pair_counts(data.splits["train"]), pair_counts(data.splits["test"]))
        scores = {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("test/")}
        bits = {
            "uniform guess": 8.0,
            "table of single codes": single,
            "table of codes given the one before": pairs,
            "this network": scores["test/bits_per_sample"],
        }
        table = Table("", "bits per sample")
        for name, value in bits.items():
            table.add_row(name, f"{value:.3f}")
        Console().print(table)
        atomic.write_text(self.folder / "test.json", json.dumps({"bits_per_sample": bits, **scores}, indent=2))
