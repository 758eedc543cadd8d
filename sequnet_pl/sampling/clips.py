"""A batch of clips, made and written while it grows: wav, spectrogram, context, and an entry in clips.json.

B clips, T time in samples.
"""

import logging
import math
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from sequnet_pl.audio import mulaw
from sequnet_pl.audio.pcm import GrowingWav, growing_wav
from sequnet_pl.errors import UserError
from sequnet_pl.models.network import Network
from sequnet_pl.report.clip import SILENT_BELOW, read_clip, save_spectrogram
from sequnet_pl.sampling import continued, prompts
from sequnet_pl.sampling.clip_folder import ClipFolder
from sequnet_pl.sampling.draw import Drawing, Noise
from sequnet_pl.sampling.engines import Block, Engine, Session
from sequnet_pl.sampling.generate import BLOCK, extend, start
from sequnet_pl.sampling.lead_in import LeadIn
from sequnet_pl.sampling.recipe import Clip, Recipe

log = logging.getLogger(__name__)

_PATIENCE = 0.25  # seconds between two looks at the outside
_SMALLEST = 32
_ATTEMPTS = 4  # to draw a clip that is not silent
_SEED_STEP = 1_000_000  # between two attempts: seeds that are chosen by hand are small


@dataclass(frozen=True)
class Batch:
    """Clips that are made at once.

    Attributes:
        session: The position that they continue from.
        recipes: Of the clips.
        contexts: Codes (T,) that were read for each clip and are not in its file.
        heads: Codes (T,) at the start of each file: the prompt, or an earlier clip.
        samples: How many more are to be drawn.
        lead_in: Seconds of silence at most that are drawn before each clip and cut; see `LeadIn`.
        before: Nats that the network gave to what it drew before, and how many samples that was.
        lead_in_before: Samples that were cut from what it drew before.
        wanted: Numbers of the clips that are made; None for all. The others are only drawn.
    """

    session: Session
    recipes: Sequence[Recipe]
    contexts: Sequence[NDArray[np.uint8]]
    heads: Sequence[NDArray[np.uint8]]
    samples: int
    lead_in: float = 0.0
    before: tuple[float, int] = (0.0, 0)
    lead_in_before: int = 0
    wanted: Collection[int] | None = None

    def wants(self, recipe: Recipe) -> bool:
        """Return whether a clip is made."""
        return self.wanted is None or recipe.clip in self.wanted

    @property
    def lengths(self) -> list[int]:
        """Samples of each clip when it is done."""
        return [recipe.prompt_samples + self.before[1] + self.samples for recipe in self.recipes]


def drawn_blocks(network: Network, engine: Engine, batch: Batch) -> Iterator[Block]:
    """Draw the samples of a batch and at most its lead-in, in blocks that take a fraction of a second each.

    Raises UserError, naming checkpoint and step, where the network gives logits that are not numbers.
    """
    recipe = batch.recipes[0]
    noise = Noise(recipe.seed, [each.clip for each in batch.recipes])
    drawing = Drawing(recipe.temperature, recipe.top_k, recipe.top_p)
    left, size = batch.samples + round(batch.lead_in * recipe.sample_rate), _SMALLEST
    while left:
        begin = time.perf_counter()
        count = min(size, left)
        try:
            blocks = list(extend(network, batch.session, noise, drawing, count, engine))
        except UserError as error:
            raise UserError(f"{recipe.checkpoint}, step {recipe.step}: {error}") from error
        yield from blocks
        left -= count
        speed = count / (time.perf_counter() - begin)
        size = max(_SMALLEST, min(2 * size, BLOCK, int(speed * _PATIENCE)))


class _GrowingClip:
    """A clip of a batch while it is drawn."""

    def __init__(self, batch: Batch, row: int) -> None:
        self.recipe, self.row, self._head = batch.recipes[row], row, batch.heads[row]
        self.lead_in = LeadIn(self.recipe.sample_rate, batch.lead_in)
        self.length = batch.lengths[row]
        self.wav: GrowingWav | None = None
        self.nats, self.drawn, self._power = 0.0, 0, 0.0

    @property
    def is_complete(self) -> bool:
        """Whether all samples are written."""
        return self.wav is not None and self.wav.samples == self.length

    @property
    def is_silent(self) -> bool:
        """Whether the level of the generated part is below -60 dBFS."""
        assert self.wav
        return self._power < (self.wav.samples - self.recipe.prompt_samples) * 10 ** (SILENT_BELOW / 10)

    def open(self, wav: GrowingWav) -> None:
        """Begin the file."""
        self.wav = wav
        self._write(self._head)

    def write(self, codes: NDArray[np.uint8], nats: NDArray[np.float32]) -> None:
        """Append samples (T,) and their negative log-likelihoods, up to the clip's length."""
        assert self.wav
        count = self.length - self.wav.samples
        self._write(codes[:count])
        self.nats += float(nats[:count].sum(dtype=np.float64))
        self.drawn += len(codes[:count])

    def _write(self, codes: NDArray[np.uint8]) -> None:
        assert self.wav
        own = codes[max(0, self.recipe.prompt_samples - self.wav.samples) :]
        self._power += float(np.square(mulaw.decode(own), dtype=np.float64).sum())
        self.wav.write(codes)


def make_batch(
    network: Network,
    engine: Engine,
    batch: Batch,
    clip_folder: ClipFolder,
    command: Callable[[Recipe, int], str],
    watch: Callable[[Block], None],
) -> None:
    """Make the clips of a batch and put them in the folder, whose list is then written.

    Clips that stay silent for their whole lead-in are drawn anew with another seed, up to three times.
    Stopped by Ctrl-C or a full disk, it keeps what there is, cut short, and then raises KeyboardInterrupt or
    UserError. If the logits are not numbers, nothing of the batch is kept.

    Args:
        network: What draws.
        engine: Its engine.
        batch: The clips.
        clip_folder: Where they go.
        command: Gives the command line that makes a clip again with so many generated samples.
        watch: Called with each block.
    """
    for attempt in range(_ATTEMPTS):
        last = attempt == _ATTEMPTS - 1
        if not (silent := _make(network, engine, batch, clip_folder, command, watch, keep_silent=last)):
            return
        log.info("clips drawn again, since they were silent for %g s: %d", silent[0].lead_in, len(silent))
        batch = _redrawn(network, batch, silent)


def _redrawn(network: Network, batch: Batch, silent: Sequence[Recipe]) -> Batch:
    """Return the batch that draws these clips with another seed."""
    numbers = range(silent[0].clip, silent[-1].clip + 1)
    seed = silent[0].seed + _SEED_STEP
    recipes = [replace(silent[0], clip=n, first_clip=numbers[0], batch_size=len(numbers), seed=seed) for n in numbers]
    session = start(network, torch.from_numpy(prompts.SILENCE.codes), len(numbers))
    nothing = [prompts.SILENCE.head] * len(numbers)
    wanted = frozenset(recipe.clip for recipe in silent)
    return Batch(session, recipes, nothing, nothing, batch.samples, batch.lead_in, wanted=wanted)


def _make(
    network: Network,
    engine: Engine,
    batch: Batch,
    clip_folder: ClipFolder,
    command: Callable[[Recipe, int], str],
    watch: Callable[[Block], None],
    keep_silent: bool,
) -> list[Recipe]:
    """Draw a batch once; see `make_batch`. Return the clips that stayed silent and were not kept."""
    clips = [_GrowingClip(batch, row) for row, recipe in enumerate(batch.recipes) if batch.wants(recipe)]
    paths: list[Path] = []
    stopped: BaseException | None = None
    with ExitStack() as files:
        files.callback(clip_folder.release, paths)

        def open_file(clip: _GrowingClip) -> None:
            paths.append(clip_folder.place(clip.recipe, clip.length))
            clip.open(files.enter_context(growing_wav(paths[-1], clip.recipe.sample_rate)))

        try:
            for clip in clips:
                if not clip.lead_in.limit:
                    open_file(clip)
            for block in drawn_blocks(network, engine, batch):
                all_codes, all_nats = block.codes.cpu().numpy(), block.nats.cpu().numpy()
                for clip in clips:
                    codes, nats = clip.lead_in.add(all_codes[clip.row], all_nats[clip.row])
                    if clip.lead_in.is_silent and keep_silent:
                        clip.recipe = replace(clip.recipe, lead_in=0.0)  # so that its command neither cuts nor redraws
                        codes, nats = clip.lead_in.keep_silence()
                    if len(codes) and not clip.wav:
                        open_file(clip)
                    if len(codes):
                        clip.write(codes, nats)
                watch(block)
                if all(clip.is_complete or clip.lead_in.is_silent for clip in clips):
                    break
        except (KeyboardInterrupt, OSError) as reason:
            if not any(clip.drawn for clip in clips):
                raise
            stopped = reason
    hurried = False
    for growing in clips:
        if not growing.wav:
            continue
        wav = growing.wav
        nats_before, drawn_before = batch.before
        assert growing.lead_in.cut is not None
        clip = Clip(
            recipe=growing.recipe,
            wav=wav.path.name,
            samples=wav.samples,
            complete=growing.is_complete,
            bits_per_sample=(growing.nats + nats_before) / (growing.drawn + drawn_before) / math.log(2),
            command=command(growing.recipe, wav.samples - growing.recipe.prompt_samples),
            wav_sha256=continued.digest(wav.path),
            lead_in_samples=batch.lead_in_before + len(growing.lead_in.cut),
            silent=growing.is_silent,
        )
        before = np.concatenate((batch.contexts[growing.row], growing.lead_in.cut))
        context = continued.needed_context(network, clip, before)
        clip = replace(clip, context_samples=len(context))
        clip_folder.add(clip)  # first of all, so that it is in the list whatever happens
        try:
            if len(context):
                continued.write_context(wav.path, context)
            if not hurried:
                clip_folder.add(_with_spectrogram(clip, wav.path))
        except (UserError, KeyboardInterrupt) as reason:
            stopped, hurried = stopped or reason, True
    clip_folder.write_list()
    if isinstance(stopped, OSError):
        why = stopped.strerror or stopped
        raise UserError(
            f"cannot write to {clip_folder.folder}: {why}; the clips are kept as far as they go"
        ) from stopped
    if stopped:
        raise stopped
    return [clip.recipe for clip in clips if not clip.wav]


def _with_spectrogram(clip: Clip, wav: Path) -> Clip:
    """Draw the spectrogram of a clip. UserError without space."""
    picture = wav.with_suffix(".png")
    save_spectrogram(picture, *read_clip(wav), clip.recipe.prompt_samples / clip.recipe.sample_rate, wav.stem)
    return replace(clip, spectrogram=picture.name)
