"""The clips of one step of a training: the same prompts continued, what really follows them, and clips from silence.

Letters: B clips, T time in samples.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sequnet_pl.audio import mulaw
from sequnet_pl.audio.files import write_wav
from sequnet_pl.data.crops import Batch, Crops, Plan, scoring_plan
from sequnet_pl.data.datamodule import AudioDataModule
from sequnet_pl.data.store import Split
from sequnet_pl.models.network import Network
from sequnet_pl.report.clip import flags, save_spectrogram
from sequnet_pl.report.run_folder import ClipInfo, ClipSet
from sequnet_pl.sampling.draw import CounterRng, SamplingParams
from sequnet_pl.sampling.engines import engine_for
from sequnet_pl.sampling.generate import extend, start
from sequnet_pl.training.metrics import nats, targets_and_mask
from sequnet_pl.training.module import AudioModule
from sequnet_pl.training.references import code_counts, held_out, held_out_split


@dataclass(frozen=True, eq=False)
class Excerpts:
    """Places of a split, (B, 2): the recording, and the sample in it at which a prompt ends."""

    split: Split
    places: Plan
    names: Sequence[str] = ()
    """The recordings and the times in them, and their labels where they have some, for people."""
    labels: Tensor | None = None
    """Numbers of the labels (B,); None where the network has none."""

    @classmethod
    def spread(cls, data: AudioDataModule, count: int, label_names: Sequence[str] = ()) -> "Excerpts":
        """So many places, spread evenly over the held-out recordings: at whole seconds, halfway where all are short."""
        split, rate = held_out(data), data.hparams["sample_rate"]
        plan = scoring_plan(split.lengths, rate)
        halfway = np.stack((np.arange(len(split.lengths)), (split.lengths + 1) // 2), axis=1)
        usable = plan[plan[:, 1] > 0] if (plan[:, 1] > 0).any() else halfway
        places = usable[[len(usable) * (2 * place + 1) // (2 * count) for place in range(count)]]
        names, numbers = [], []
        labels = data.recording_labels(held_out_split(data)) if label_names else []
        for each, at in places.tolist():
            recording = split.recordings[each]
            name = f"{recording.source}, {(recording.start + at) / rate:.2f} s"
            is_known = bool(label_names) and labels[each] in label_names
            numbers.append(1 + label_names.index(labels[each]) if is_known else 0)
            names.append(f"{name}, label {labels[each]}" if is_known else name)
        return cls(split, places, names, torch.tensor(numbers) if label_names else None)

    def before(self, samples: int) -> Tensor:
        """Codes (B, samples) that end at the places; before a recording's start lies silence."""
        return Crops(self.split, samples - 1, 0).__getitems__(self.places).codes

    def prompt_lengths(self, samples: int) -> list[int]:
        """How long prompts of so many samples are: shorter where a recording starts within."""
        return np.minimum(samples, self.places[:, 1]).tolist()

    def after(self, samples: int) -> list[NDArray[np.uint8]]:
        """Codes from the places on, (T,) each, fewer than `samples` where a recording ends."""
        batch = Crops(self.split, samples - 1, samples).__getitems__(self.places)
        return [codes[:count] for codes, count in zip(batch.codes.numpy(), batch.valid.tolist(), strict=True)]

    @torch.no_grad()
    def bits_per_sample(self, network: Network, samples: int, outputs: int) -> list[float]:
        """What the network gives to `after(samples)`, in crops of `outputs` targets; NaN where there are none."""
        device = next(network.parameters()).device
        window = network.scoring_window(min(outputs, samples))
        crops, scores = Crops(self.split, *window), []
        for row, (recording, place) in enumerate(self.places.tolist()):
            labels = None if self.labels is None else self.labels[row : row + 1].to(device)
            end = min(place + samples, int(self.split.lengths[recording]))
            costs = [torch.empty(0, device=device)]
            for begin in range(place, end, window.outputs):
                batch = Batch(*(field.to(device) for field in crops[recording, begin]))
                logits = network.scored_logits(batch.codes[:, :-1], labels)
                targets, mask = targets_and_mask(
                    batch._replace(valid=batch.valid.clamp(max=end - begin)), window.outputs
                )
                costs.append(nats(logits, targets)[mask])
            scores.append(torch.cat(costs).double().mean().item() / math.log(2))  # not a Metric: one process is here
        return scores


Codes = NDArray[np.uint8]

_NOTHING = np.empty(0, np.uint8)


@dataclass(frozen=True, kw_only=True)
class Program:
    """What is sampled at every step: see SampleAudio. The first temperature is also that of the continuations."""

    continuations: int
    from_silence: int
    seconds: float
    prompt_seconds: float
    temperatures: Sequence[float]
    seed: int


def make_clips(program: Program, module: AudioModule, data: AudioDataModule, step: int, folder: Path) -> ClipSet:
    """Make all clips with the weights of now; write them, their spectrograms and their list to `folder`.

    Raises UserError where the network gives no numbers or a file cannot be written.
    """
    rate = data.hparams["sample_rate"]
    clips, generated = [], np.zeros(mulaw.CLASSES, np.int64)
    for clip, head, own in _clips(program, module, data):
        waveform = mulaw.decode(np.concatenate((head, own)))
        write_wav(folder / f"{clip.name}.wav", waveform, rate)
        save_spectrogram(folder / f"{clip.name}.png", waveform, rate, clip.prompt_end, f"{clip.name}, step {step}")
        if clip.temperature == program.temperatures[0]:
            generated += np.bincount(own, minlength=mulaw.CLASSES)
        clips.append(replace(clip, flags=[str(flag) for flag in flags(waveform[len(head) :], rate)]))
    sampling = ClipSet(
        step=step,
        rate=rate,
        seed=program.seed,
        clips=clips,
        real_codes=code_counts(held_out(data)).tolist(),
        generated_codes=generated.tolist(),
    )
    sampling.write(folder)
    return sampling


def _clips(program: Program, module: AudioModule, data: AudioDataModule) -> Iterator[tuple[ClipInfo, Codes, Codes]]:
    """Continuations, each with what really follows; then clips from silence. Generated ones are numbered through.

    Each comes without flags, and with the codes (T,) of its prompt and of what follows.
    """
    network, rate = module.network, data.hparams["sample_rate"]
    engine = engine_for(network)
    prompt, samples = (max(1, round(seconds * rate)) for seconds in (program.prompt_seconds, program.seconds))

    def drawn(
        prompts: Tensor | None, numbers: range, temperature: float, labels: Tensor | None = None
    ) -> list[tuple[Codes, float]]:
        session, noise = start(network, prompts, len(numbers), labels), CounterRng(program.seed, numbers)
        blocks = list(extend(network, session, noise, SamplingParams(temperature), samples, engine))
        codes = torch.cat([block.codes for block in blocks], dim=1).cpu().numpy()
        bits = torch.cat([block.nats for block in blocks], dim=1).double().mean(dim=1) / math.log(2)
        return list(zip(codes, bits.tolist(), strict=True))

    def clip(
        name: str, head: Codes, scored: tuple[Codes, float], temperature: float | None, source: str
    ) -> tuple[ClipInfo, Codes, Codes]:
        own, bits = scored
        kind, prompt_end, score = name.partition("-")[0], len(head) / rate, bits if math.isfinite(bits) else None
        listed = ClipInfo(
            name=name, kind=kind, prompt_end=prompt_end, bits_per_sample=score, temperature=temperature, source=source
        )
        return listed, head, own

    numbers, temperature = range(program.continuations), program.temperatures[0]
    if numbers:
        excerpts = Excerpts.spread(data, program.continuations, module.label_names)
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
        for n, source, head, drawing, recorded in rows:
            yield clip(f"continuation-{n}", head, drawing, temperature, source)
            yield clip(f"recording-{n}", head, recorded, None, source)
    for temperature in program.temperatures if program.from_silence else ():
        numbers = range(numbers.stop, numbers.stop + program.from_silence)
        for n, drawing in zip(numbers, drawn(None, numbers, temperature), strict=True):
            yield clip(f"silence-{n}", _NOTHING, drawing, temperature, "")
