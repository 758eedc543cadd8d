"""A batch of clips, made and written while it grows: wav, spectrogram, context, and an entry in the album.

B clips, T time in samples.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sequnet_pl.audio.pcm import growing_wav
from sequnet_pl.errors import UserError
from sequnet_pl.models.network import Network
from sequnet_pl.report.clip import read_clip
from sequnet_pl.report.spectrogram import save_spectrogram
from sequnet_pl.sampling import continued
from sequnet_pl.sampling.album import Album
from sequnet_pl.sampling.draw import Drawing, Noise
from sequnet_pl.sampling.engines import Block, Engine, Session
from sequnet_pl.sampling.generate import BLOCK, extend
from sequnet_pl.sampling.recipe import Clip, Recipe

_PATIENCE = 0.25  # seconds between two looks at the outside
_SMALLEST = 32


@dataclass(frozen=True)
class Batch:
    """Clips that are made at once.

    Attributes:
        session: The position that they continue from.
        recipes: Of the clips.
        contexts: Codes (T,) that were read for each clip and are not in its file.
        heads: Codes (T,) at the start of each file: the prompt, or an earlier clip.
        samples: How many more are to be drawn.
        before: Nats that the network gave to what it drew before, and how many samples that was.
    """

    session: Session
    recipes: Sequence[Recipe]
    contexts: Sequence[NDArray[np.uint8]]
    heads: Sequence[NDArray[np.uint8]]
    samples: int
    before: tuple[float, int] = (0.0, 0)

    @property
    def lengths(self) -> list[int]:
        """Samples of each clip when it is done."""
        return [recipe.prompt_samples + self.before[1] + self.samples for recipe in self.recipes]


def drawn_blocks(network: Network, engine: Engine, batch: Batch) -> Iterator[Block]:
    """Draw the samples of a batch, in blocks that take a fraction of a second each.

    Raises UserError, naming checkpoint and step, where the network gives logits that are not numbers.
    """
    recipe = batch.recipes[0]
    noise = Noise(recipe.seed, [each.clip for each in batch.recipes])
    drawing = Drawing(recipe.temperature, recipe.top_k, recipe.top_p)
    left, size = batch.samples, _SMALLEST
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


def make_batch(
    network: Network,
    engine: Engine,
    batch: Batch,
    album: Album,
    command: Callable[[Recipe, int], str],
    watch: Callable[[Block], None],
) -> None:
    """Make the clips of a batch and put them in the album, whose list is then written.

    Stopped by Ctrl-C or a full disk, it keeps what there is, cut short, and then raises KeyboardInterrupt or
    UserError. Where the network gives no numbers nothing of the batch is kept.

    Args:
        network: What draws.
        engine: Its engine.
        batch: The clips.
        album: Where they go.
        command: Gives the command line that makes a clip again with so many generated samples.
        watch: Called with each block.
    """
    paths: list[Path] = []
    stopped: BaseException | None = None
    nats, drawn = np.zeros(len(batch.recipes)), 0
    with ExitStack() as files:
        files.callback(album.release, paths)
        for recipe, length in zip(batch.recipes, batch.lengths, strict=True):
            paths.append(album.place(recipe, length))
        wavs = [files.enter_context(growing_wav(path, batch.recipes[0].sample_rate)) for path in paths]
        try:
            for wav, head in zip(wavs, batch.heads, strict=True):
                wav.write(head)
            for block in drawn_blocks(network, engine, batch):
                for wav, codes in zip(wavs, block.codes.cpu().numpy(), strict=True):
                    wav.write(codes)
                nats += block.nats.double().sum(dim=1).cpu().numpy()
                drawn += block.nats.shape[1]
                watch(block)
        except (KeyboardInterrupt, OSError) as reason:
            if not drawn:
                raise
            stopped = reason
    hurried = False
    for index, (recipe, wav) in enumerate(zip(batch.recipes, wavs, strict=True)):
        nats_before, drawn_before = batch.before
        clip = Clip(
            recipe=recipe,
            wav=wav.path.name,
            samples=wav.samples,
            complete=wav.samples == batch.lengths[index],
            bits_per_sample=float(nats[index] + nats_before) / (drawn + drawn_before) / math.log(2),
            command=command(recipe, wav.samples - recipe.prompt_samples),
            wav_sha256=continued.digest(wav.path),
        )
        context = continued.needed_context(network, clip, batch.contexts[index])
        clip = replace(clip, context_samples=len(context))
        album.add(clip)  # first of all, so that it is in the list whatever happens
        try:
            if len(context):
                continued.write_context(wav.path, context)
            if not hurried:
                album.add(_with_spectrogram(clip, wav.path))
        except (UserError, KeyboardInterrupt) as reason:
            stopped, hurried = stopped or reason, True
    album.write_list()
    if isinstance(stopped, OSError):
        why = stopped.strerror or stopped
        raise UserError(f"cannot write to {album.folder}: {why}; the clips are kept as far as they go") from stopped
    if stopped:
        raise stopped


def _with_spectrogram(clip: Clip, wav: Path) -> Clip:
    """Draw the spectrogram of a clip. UserError without space."""
    picture = wav.with_suffix(".png")
    save_spectrogram(picture, *read_clip(wav), clip.recipe.prompt_samples / clip.recipe.sample_rate, wav.stem)
    return replace(clip, spectrogram=picture.name)
