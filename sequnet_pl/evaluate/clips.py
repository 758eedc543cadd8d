"""Clips to compare: segments of held-out recordings, continuations of them by a network, or files.

N clips, T samples.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from sequnet_pl.audio import files, mulaw
from sequnet_pl.data.store import Split
from sequnet_pl.errors import UserError
from sequnet_pl.evaluate.comparison import LEAST_CLIPS
from sequnet_pl.models.network import Network
from sequnet_pl.sampling import prompts
from sequnet_pl.sampling.clip_folder import read_list
from sequnet_pl.sampling.clips import Batch, drawn_blocks
from sequnet_pl.sampling.engines import Block, Engine
from sequnet_pl.sampling.generate import start
from sequnet_pl.sampling.metadata import ClipMetadata
from sequnet_pl.sampling.prompts import Prompt

log = logging.getLogger(__name__)


class Stretch(NamedTuple):
    """Start of a part of a recording."""

    begin: int  # in the codes of the split
    before: int  # samples of the recording before it
    file: str
    second: float  # of the file


def evenly(things: int, count: int) -> list[int]:
    """The numbers of `count` of the `things`, spread evenly; `count` is no more than there are."""
    return [(2 * i + 1) * things // (2 * count) for i in range(count)]


def choose(split: Split, samples: int, clips: int, rate: int) -> list[Stretch]:
    """Twice as many segments of `samples` as clips, in order, spread evenly over the split; no two overlap.

    Silence is not left out. If the recordings have no more, there are fewer, with a warning. Raises UserError if they
    have not enough for LEAST_CLIPS.
    """
    slots = split.lengths // samples
    ends = np.cumsum(slots)
    seconds = samples / rate
    if (most := int(ends[-1]) // 2) < LEAST_CLIPS:
        raise UserError(
            f"the held-out recordings have {ends[-1]} segments of {seconds:g} s, but at least {2 * LEAST_CLIPS} are "
            f"needed; the longest recording has {split.lengths.max() / rate:.2f} s: take shorter clips with --seconds"
        )
    if most < clips:
        log.warning(
            "%d clips instead of %d: the held-out recordings have %d segments of %g s", most, clips, ends[-1], seconds
        )
    count = 2 * min(most, clips)
    chosen = evenly(int(ends[-1]), count)
    recordings = np.searchsorted(ends, chosen, side="right")
    starts = (np.array(chosen) - (ends - slots)[recordings]) * samples
    return [stretch(split, index, start, rate) for index, start in zip(recordings, starts.tolist(), strict=True)]


def stretch(split: Split, index: int, start: int, rate: int) -> Stretch:
    """The part of a recording from its sample `start` on."""
    recording = split.recordings[index]
    return Stretch(recording.offset + start, start, recording.source, (recording.start + start) / rate)


def read(split: Split, stretches: Sequence[Stretch], samples: int) -> NDArray[np.uint8]:
    """The codes there, (N, T)."""
    return np.stack([split.codes[one.begin : one.begin + samples] for one in stretches])


def prompt(split: Split, after: Stretch, context: int) -> Prompt:
    """The samples before a stretch, at most `context`; silence at the start of a recording."""
    if not after.before:
        return replace(prompts.SILENCE, source=after.file)
    codes = np.array(split.codes[after.begin - min(context, after.before) : after.begin])
    return Prompt(codes, 0, after.file, after.second)


def generate(
    network: Network,
    engine: Engine,
    given: Sequence[Prompt],
    base: ClipMetadata,
    samples: int,
    batch_size: int,
    watch: Callable[[Block], None],
) -> NDArray[np.uint8]:
    """Return what a network continues each prompt with, codes (N, T); `watch` is called with each block of a batch.

    The random numbers of a clip depend on the seed in `base`, its number and the time only.
    Raises UserError where the network gives logits that are not numbers.
    """
    made = []
    for first in range(0, len(given), batch_size):
        batch_prompts = given[first : first + batch_size]
        numbers = range(first, first + len(batch_prompts))
        session = start(network, prompts.stack(batch_prompts, network), len(numbers))
        rows = [replace(base, clip=number, first_clip=first, batch_size=len(numbers)) for number in numbers]
        blocks = []
        for block in drawn_blocks(network, engine, Batch(session, rows, [], [], samples)):
            watch(block)
            blocks.append(block.codes.cpu())
        made.append(torch.cat(blocks, dim=1).numpy())
    return np.concatenate(made)


def read_folder(folder: Path, rate: int, samples: int, most: int | None) -> tuple[NDArray[np.uint8], list[Path]]:
    """The first T samples of the audio files of a folder, codes (N, T), and the files; `most` of them, spread evenly.

    The prompts of clips in a list of sample.py are skipped. Files that are too short are left out, with a warning.
    Raises UserError if a file cannot be read or too few are left.
    """
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}; name one that holds clips")
    there = files.find(folder)
    prompt_ends = {}
    for parent in {folder, *(path.parent for path in there)}:  # each call of sample.py has a folder in generated/
        for name, clip in read_list(parent).items():
            made = clip.metadata
            prompt_ends[parent / name] = round(made.prompt_samples * rate / made.sample_rate)
    found, paths, short = [], [], 0
    for path in there:
        skipped = prompt_ends.get(path, 0)
        codes = mulaw.encode(files.read(path, rate, 0.0, (skipped + samples) / rate))[skipped:]
        if len(codes) < samples:
            short += 1
        else:
            found.append(codes)
            paths.append(path)
    if short:
        log.warning("%s: %d files are left out: they are shorter than %g s", folder, short, samples / rate)
    if len(found) < LEAST_CLIPS:
        raise UserError(
            f"{folder} has {len(found)} clips of {samples / rate:g} s, but {LEAST_CLIPS} are needed at least; add "
            "some, or take less of each with --seconds"
        )
    chosen = evenly(len(found), min(most or len(found), len(found)))
    return np.stack([found[i] for i in chosen]), [paths[i] for i in chosen]
