"""Clips that are made during training: the same prompts continued, what really follows them, and clips from silence.

Letters: B clips, T time in samples.
"""

import logging
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from pytorch_lightning.callbacks import Callback
from torch import Tensor, distributed

from sequnet_pl.audio import mulaw
from sequnet_pl.audio.files import write_wav
from sequnet_pl.data.crops import Crops, Plan, scoring_plan
from sequnet_pl.data.datamodule import AudioDataModule
from sequnet_pl.data.store import Split
from sequnet_pl.limits import NonNegativeFloat, NonNegativeInt, PositiveFloat
from sequnet_pl.models.network import Network
from sequnet_pl.report.clip import flags, save_spectrogram
from sequnet_pl.report.run_folder import ClipInfo, ClipSet
from sequnet_pl.sampling.draw import CounterRng, SamplingParams
from sequnet_pl.sampling.engines import engine_for
from sequnet_pl.sampling.generate import extend, start
from sequnet_pl.training.averaging import averaged_weights
from sequnet_pl.training.loggers import log_sampling
from sequnet_pl.training.metrics import bits_of_part, code_counts, held_out, held_out_split
from sequnet_pl.training.module import AudioModule, data_of, ends_step

log = logging.getLogger(__name__)

Codes = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Excerpts:
    """Positions of a split, (B, 2): the recording, and the sample in it at which a prompt ends."""

    split: Split
    positions: Plan
    names: Sequence[str] = ()
    """The recordings and the times in them, and their labels where they have some, for people."""
    labels: Tensor | None = None
    """Numbers of the labels (B,); None where the network has none."""

    @classmethod
    def spread(cls, data: AudioDataModule, count: int, label_names: Sequence[str] = ()) -> "Excerpts":
        """Positions spread evenly over the held-out recordings: at whole seconds, halfway where all are short."""
        split, rate = held_out(data), data.hparams["sample_rate"]
        plan = scoring_plan(split.lengths, rate)
        halfway = np.stack((np.arange(len(split.lengths)), (split.lengths + 1) // 2), axis=1)
        usable = plan[plan[:, 1] > 0] if (plan[:, 1] > 0).any() else halfway
        positions = usable[[len(usable) * (2 * number + 1) // (2 * count) for number in range(count)]]
        names, numbers = [], []
        labels = data.recording_labels(held_out_split(data)) if label_names else []
        for each, at in positions.tolist():
            recording = split.recordings[each]
            name = f"{recording.source}, {(recording.start + at) / rate:.2f} s"
            is_known = bool(label_names) and labels[each] in label_names
            numbers.append(1 + label_names.index(labels[each]) if is_known else 0)
            names.append(f"{name}, label {labels[each]}" if is_known else name)
        return cls(split, positions, names, torch.tensor(numbers) if label_names else None)

    def before(self, samples: int) -> Tensor:
        """Codes (B, samples) that end at the positions; before a recording's start is silence."""
        return Crops(self.split, samples - 1, 0).__getitems__(self.positions).codes

    def prompt_lengths(self, samples: int) -> list[int]:
        """Lengths of prompts of `samples` at most: shorter where a recording starts within."""
        return np.minimum(samples, self.positions[:, 1]).tolist()

    def after(self, samples: int) -> list[NDArray[np.uint8]]:
        """Codes from the positions on, (T,) each, fewer than `samples` where a recording ends."""
        batch = Crops(self.split, samples - 1, samples).__getitems__(self.positions)
        return [codes[:count] for codes, count in zip(batch.codes.numpy(), batch.valid.tolist(), strict=True)]

    def bits_per_sample(self, network: Network, samples: int, outputs: int) -> list[float]:
        """Return the scores of `after(samples)`, in crops of `outputs` targets; NaN where there are none."""
        scores, labels = [], [None] * len(self.positions) if self.labels is None else self.labels.tolist()
        for (recording, first), label in zip(self.positions.tolist(), labels, strict=True):
            part = range(first, min(first + samples, int(self.split.lengths[recording])))
            bits = bits_of_part(network, self.split, recording, part, min(outputs, samples), 1, label)
            scores.append(bits / len(part) if part else math.nan)
        return scores


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
        seconds: Length of the generated sound, in seconds.
        prompt_seconds: Length of the prompt of a continuation, in seconds; less if the recording is shorter.
        temperature: Temperature; 0 takes the likeliest code.
        second_temperature: Temperature of further clips from silence; None makes none.
        seed: Seed of the random numbers.
    """

    def __init__(
        self,
        every_n_steps: NonNegativeInt = 0,
        every_n_epochs: NonNegativeInt = 1,
        continuations: NonNegativeInt = 2,
        from_silence: NonNegativeInt = 1,
        seconds: PositiveFloat = 1.0,
        prompt_seconds: PositiveFloat = 1.0,
        temperature: NonNegativeFloat = 1.0,
        second_temperature: NonNegativeFloat | None = 0.8,
        seed: int = 0,
    ) -> None:
        self.every_n_steps, self.every_n_epochs = every_n_steps, every_n_epochs
        self.continuations, self.from_silence = continuations, from_silence
        self.seconds, self.prompt_seconds, self.seed = seconds, prompt_seconds, seed
        self.temperatures = [value for value in (temperature, second_temperature) if value is not None]
        self.last_step = -1
        """Step of the newest sampling, -1 before the first."""
        self.seconds_taken = 0.0
        """Time of all samplings of this process."""
        self._folder = Path()

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        self._folder = Path(trainer.log_dir or ".") / "samples"  # in all processes, since `log_dir` is broadcast

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any, **__: Any) -> None:
        if self.every_n_steps and ends_step(trainer) and trainer.global_step % self.every_n_steps == 0:
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
                except Exception as error:  # a long run does not end because a clip fails
                    log.warning("no clips at step %d: %s", step, error or type(error).__name__)
        self.seconds_taken += time.monotonic() - began

    def _make(self, trainer: pl.Trainer, module: pl.LightningModule, step: int) -> None:
        folder = self._folder / f"step-{step:08d}"
        assert isinstance(module, AudioModule)
        with averaged_weights(trainer, module):
            sampling = self.make(module, data_of(trainer), step, folder)
        log_sampling(trainer.loggers, sampling, folder)

    def make(self, module: AudioModule, data: AudioDataModule, step: int, folder: Path) -> ClipSet:
        """Make all clips with the weights of now; write them, their spectrograms and their list to `folder`.

        Raises UserError where the network gives no numbers or a file cannot be written.
        """
        rate = data.hparams["sample_rate"]
        clips, generated = [], np.zeros(mulaw.CLASSES, np.int64)
        for name, source, temperature, head, (own, bits) in self._clips(module, data):
            waveform, prompt_end = mulaw.decode(np.concatenate((head, own))), len(head) / rate
            write_wav(folder / f"{name}.wav", waveform, rate)
            save_spectrogram(folder / f"{name}.png", waveform, rate, prompt_end, f"{name}, step {step}")
            if temperature == self.temperatures[0]:
                generated += np.bincount(own, minlength=mulaw.CLASSES)
            clip = ClipInfo(
                name=name,
                kind=name.partition("-")[0],
                prompt_end=prompt_end,
                bits_per_sample=bits if math.isfinite(bits) else None,
                temperature=temperature,
                source=source,
                flags=[str(flag) for flag in flags(waveform[len(head) :], rate)],
            )
            clips.append(clip)
        sampling = ClipSet(
            step=step,
            rate=rate,
            seed=self.seed,
            clips=clips,
            real_codes=code_counts(held_out(data)).tolist(),
            generated_codes=generated.tolist(),
        )
        sampling.write(folder)
        return sampling

    def _clips(
        self, module: AudioModule, data: AudioDataModule
    ) -> Iterator[tuple[str, str, float | None, Codes, tuple[Codes, float]]]:
        """Yield continuations, each with what really follows; then clips from silence. Generated ones share one count.

        Each has a name, a source, a temperature (None of a recording), the codes (T,) of its prompt, and those of what
        follows with their bits per sample.
        """
        network, rate = module.network, data.hparams["sample_rate"]
        engine = engine_for(network)
        prompt, samples = (max(1, round(seconds * rate)) for seconds in (self.prompt_seconds, self.seconds))

        def drawn(
            prompts: Tensor | None, numbers: range, temperature: float, labels: Tensor | None = None
        ) -> list[tuple[Codes, float]]:
            session, noise = start(network, prompts, len(numbers), labels), CounterRng(self.seed, numbers)
            blocks = list(extend(network, session, noise, SamplingParams(temperature), samples, engine))
            codes = torch.cat([block.codes for block in blocks], dim=1).cpu().numpy()
            bits = torch.cat([block.nats for block in blocks], dim=1).double().mean(dim=1) / math.log(2)
            return list(zip(codes, bits.tolist(), strict=True))

        numbers, temperature = range(self.continuations), self.temperatures[0]
        if numbers:
            excerpts = Excerpts.spread(data, self.continuations, module.label_names)
            prompts = excerpts.before(max(prompt, network.context(prompt)))
            real = zip(
                excerpts.after(samples),
                excerpts.bits_per_sample(network, samples, data.hparams["output_size"]),
                strict=True,
            )
            generated = drawn(prompts, numbers, temperature, excerpts.labels)
            lengths = excerpts.prompt_lengths(prompt)
            heads = [row[len(row) - count :] for row, count in zip(prompts.numpy(), lengths, strict=True)]
            rows = zip(numbers, excerpts.names, heads, generated, real, strict=True)
            for n, source, head, sampled, recorded in rows:
                yield f"continuation-{n}", source, temperature, head, sampled
                yield f"recording-{n}", source, None, head, recorded
        for temperature in self.temperatures if self.from_silence else ():
            numbers = range(numbers.stop, numbers.stop + self.from_silence)
            for n, sampled in zip(numbers, drawn(None, numbers, temperature), strict=True):
                yield f"silence-{n}", "", temperature, np.empty(0, np.uint8), sampled


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
