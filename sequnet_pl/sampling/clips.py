"""A batch of clips, made and written while it grows: wav, spectrogram, context, and an entry in clips.json.

B clips, T time in samples.
"""

import logging
import math
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sequnet_pl.audio import mulaw
from sequnet_pl.audio.files import GrowingWav, growing_wav
from sequnet_pl.errors import UserError
from sequnet_pl.models.network import Network
from sequnet_pl.report.clip import SILENT_BELOW, read_clip, save_spectrogram
from sequnet_pl.sampling import continued, prompts
from sequnet_pl.sampling.clip_folder import ClipFolder
from sequnet_pl.sampling.draw import CounterRng, SamplingParams
from sequnet_pl.sampling.engines import Block, Engine, Session
from sequnet_pl.sampling.generate import BLOCK, extend, start
from sequnet_pl.sampling.metadata import Clip, ClipMetadata

log = logging.getLogger(__name__)

Codes = NDArray[np.uint8]

_BLOCK_SECONDS = 0.25  # time to draw a block, after which progress is shown and files are written
_SMALLEST = 32
_ATTEMPTS = 4  # to draw a clip that is not silent
_SEED_STEP = 1_000_000  # between two attempts: seeds that are chosen by hand are small
_FRAME = 0.02  # seconds


@dataclass(frozen=True)
class Batch:
    """Clips that are made at once.

    Attributes:
        session: The position that they continue from.
        clips: Metadata of each.
        contexts: Codes (T,) that were read for each clip and are not in its file.
        prompts: Codes (T,) at the start of each file: the prompt, or an earlier clip.
        samples: How many more are to be drawn.
        lead_in: Seconds of silence at most that are drawn before each clip and cut.
        previous_nll: Negative log-likelihood in nats of what was drawn before, and how many samples that was.
        previous_lead_in: Samples that were cut from what was drawn before.
        labels: Of the clips (B,), all of which have the same; None without one.
        wanted: Numbers of the clips that are made; None for all. The others are only drawn.
    """

    session: Session
    clips: Sequence[ClipMetadata]
    contexts: Sequence[Codes]
    prompts: Sequence[Codes]
    samples: int
    lead_in: float = 0.0
    previous_nll: tuple[float, int] = (0.0, 0)
    previous_lead_in: int = 0
    labels: Tensor | None = None
    wanted: Collection[int] | None = None


def drawn_blocks(network: Network, engine: Engine, batch: Batch) -> Iterator[Block]:
    """Draw the samples of a batch and at most its lead-in, in blocks that take a fraction of a second each.

    Raises UserError, naming checkpoint and step, if the network gives logits that are not numbers.
    """
    first = batch.clips[0]
    noise = CounterRng(first.seed, [each.clip for each in batch.clips])
    params = SamplingParams(first.temperature, first.top_k, first.top_p)
    left, size = batch.samples + round(batch.lead_in * first.sample_rate), _SMALLEST
    while left:
        begin = time.perf_counter()
        count = min(size, left)
        try:
            blocks = list(extend(network, batch.session, noise, params, count, engine))
        except UserError as error:
            raise UserError(f"{first.checkpoint}, step {first.step}: {error}") from error
        yield from blocks
        left -= count
        speed = count / (time.perf_counter() - begin)
        size = max(_SMALLEST, min(2 * size, BLOCK, int(speed * _BLOCK_SECONDS)))


def first_sound(codes: Codes, rate: int) -> int | None:
    """The sample at which the first frame of 20 ms above -60 dBFS begins; None without one."""
    size = round(_FRAME * rate)
    frames = mulaw.decode(codes[: len(codes) // size * size]).reshape(-1, size)
    loud = np.flatnonzero(np.square(frames, dtype=np.float64).mean(axis=1) > 10 ** (SILENT_BELOW / 10))
    return int(loud[0]) * size if len(loud) else None


class _GrowingClip:
    """A clip of a batch while it is drawn. Its file is opened by `open_wav` at its first sound."""

    def __init__(self, batch: Batch, row: int, open_wav: Callable[[ClipMetadata, int], GrowingWav]) -> None:
        self.metadata, self.row, self._prompt, self._open = batch.clips[row], row, batch.prompts[row], open_wav
        frame = round(_FRAME * self.metadata.sample_rate)
        self.limit = round(batch.lead_in * self.metadata.sample_rate) // frame * frame  # less than one cuts nothing
        self.length = self.metadata.prompt_samples + batch.previous_nll[1] + batch.samples
        self.wav: GrowingWav | None = None
        self.cut = np.empty(0, np.uint8)  # the silence before the first sound
        self._codes, self._nll = np.empty(0, np.uint8), np.empty(0, np.float32)  # before the file is opened
        self.nll, self.drawn, self._power = 0.0, 0, 0.0

    @property
    def is_complete(self) -> bool:
        """True if all samples are written."""
        return self.wav is not None and self.wav.samples == self.length

    @property
    def stays_silent(self) -> bool:
        """True if there was no sound within the lead-in."""
        return self.wav is None and len(self._codes) >= self.limit

    @property
    def is_silent(self) -> bool:
        """True if the level of the generated part is below -60 dBFS."""
        assert self.wav
        return self._power < (self.wav.samples - self.metadata.prompt_samples) * 10 ** (SILENT_BELOW / 10)

    def add(self, codes: Codes, nll: NDArray[np.float32], keep_silent: bool) -> None:
        """Add samples (T,) and their negative log-likelihoods, up to the clip's length."""
        if self.wav is None:
            codes = self._codes = np.concatenate((self._codes, codes))
            nll = self._nll = np.concatenate((self._nll, nll))
            begin = first_sound(codes[: self.limit], self.metadata.sample_rate) if self.limit else 0
            if begin is None and self.stays_silent and keep_silent:
                begin = 0
                self.metadata = replace(self.metadata, lead_in=0.0)  # so that its command neither cuts nor redraws
            if begin is None:
                return
            self.cut, codes, nll = codes[:begin], codes[begin:], nll[begin:]
            self.wav = self._open(self.metadata, self.length)
            self._write(self._prompt)
        count = self.length - self.wav.samples
        self._write(codes[:count])
        self.nll += float(nll[:count].sum(dtype=np.float64))
        self.drawn += len(codes[:count])

    def _write(self, codes: Codes) -> None:
        assert self.wav
        own = codes[max(0, self.metadata.prompt_samples - self.wav.samples) :]
        self._power += float(np.square(mulaw.decode(own), dtype=np.float64).sum())
        self.wav.write(codes)


def make_batch(
    network: Network,
    engine: Engine,
    batch: Batch,
    clip_folder: ClipFolder,
    command: Callable[[ClipMetadata, int], str],
    watch: Callable[[Block], None],
) -> None:
    """Make the clips of a batch and put them in the folder, whose list is then written.

    Clips that stay silent for their whole lead-in are drawn again with another seed, up to three times.
    Stopped by Ctrl-C, a full disk or a reader of stdout that has ended, it keeps what there is, cut short, and then
    raises KeyboardInterrupt, UserError or BrokenPipeError. If the logits are not numbers, nothing of the batch is kept.

    Args:
        network: What draws.
        engine: Its engine.
        batch: The clips.
        clip_folder: Where they go.
        command: Returns the command line that reproduces a clip with a number of generated samples.
        watch: Called with each block.
    """
    for attempt in range(_ATTEMPTS):
        silent = _make(network, engine, batch, clip_folder, command, watch, keep_silent=attempt == _ATTEMPTS - 1)
        if not silent:
            return
        log.info("clips drawn again, since they were silent for %g s: %d", batch.lead_in, len(silent))
        numbers = range(silent[0].clip, silent[-1].clip + 1)
        base = replace(silent[0], seed=silent[0].seed + _SEED_STEP, first_clip=numbers[0], batch_size=len(numbers))
        nothing = [prompts.SILENCE.shown_codes] * len(numbers)
        labels = None if batch.labels is None else batch.labels[:1].expand(len(numbers))
        batch = replace(
            batch,
            session=start(network, torch.from_numpy(prompts.SILENCE.codes), len(numbers), labels),
            clips=[replace(base, clip=number) for number in numbers],
            contexts=nothing,
            prompts=nothing,
            labels=labels,
            wanted=frozenset(clip.clip for clip in silent),
        )


def _make(
    network: Network,
    engine: Engine,
    batch: Batch,
    clip_folder: ClipFolder,
    command: Callable[[ClipMetadata, int], str],
    watch: Callable[[Block], None],
    keep_silent: bool,
) -> list[ClipMetadata]:
    """Draw a batch once; see `make_batch`. Return the clips that stayed silent and were not kept."""
    stopped: BaseException | None = None
    with ExitStack() as files:

        def open_wav(metadata: ClipMetadata, samples: int) -> GrowingWav:
            path = clip_folder.free_path(metadata, samples)
            files.callback(clip_folder.release, path)
            return files.enter_context(growing_wav(path, metadata.sample_rate))

        clips = [
            _GrowingClip(batch, row, open_wav)
            for row, each in enumerate(batch.clips)
            if batch.wanted is None or each.clip in batch.wanted
        ]
        try:
            for block in drawn_blocks(network, engine, batch):
                codes, nll = block.codes.cpu().numpy(), block.nats.cpu().numpy()
                for clip in clips:
                    clip.add(codes[clip.row], nll[clip.row], keep_silent)
                watch(block)
                if all(clip.is_complete or clip.stays_silent for clip in clips):
                    break
        except (KeyboardInterrupt, OSError) as reason:
            if not any(clip.drawn for clip in clips):
                raise
            stopped = reason
    skip_rest = False
    for growing in clips:
        if not growing.wav:
            continue
        wav, metadata = growing.wav, growing.metadata
        if not growing.drawn:  # stopped when its prompt was written, while others had grown
            wav.path.unlink(missing_ok=True)
            continue
        previous, drawn = batch.previous_nll
        clip = Clip(
            metadata=metadata,
            wav=wav.path.name,
            samples=wav.samples,
            complete=growing.is_complete,
            bits_per_sample=(growing.nll + previous) / (growing.drawn + drawn) / math.log(2),
            command=command(metadata, wav.samples - metadata.prompt_samples),
            wav_sha256=continued.digest(wav.path),
            lead_in_samples=batch.previous_lead_in + len(growing.cut),
            silent=growing.is_silent,
        )
        context = continued.needed_context(network, clip, np.concatenate((batch.contexts[growing.row], growing.cut)))
        clip = replace(clip, context_samples=len(context))
        clip_folder.add(clip)  # first of all, so that it is in the list whatever happens
        try:
            if len(context):
                continued.write_context(wav.path, context)
            if not skip_rest:
                picture = wav.path.with_suffix(".png")
                prompt_end = metadata.prompt_samples / metadata.sample_rate
                save_spectrogram(picture, *read_clip(wav.path), prompt_end, wav.path.stem)
                clip_folder.add(replace(clip, spectrogram=picture.name))
        except (UserError, KeyboardInterrupt) as reason:
            stopped, skip_rest = stopped or reason, True
    clip_folder.write_list()
    if isinstance(stopped, OSError) and not isinstance(stopped, BrokenPipeError):
        why = stopped.strerror or stopped
        raise UserError(
            f"cannot write to {clip_folder.folder}: {why}; the clips are kept up to this point"
        ) from stopped
    if stopped:
        raise stopped
    return [clip.metadata for clip in clips if not clip.wav]
