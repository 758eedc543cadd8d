"""Prompts of clips: a part of an audio file or of a held-out recording, or silence.

T time in samples.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sequnet_pl.audio import files, mulaw
from sequnet_pl.audio.decode import frames
from sequnet_pl.data.store import Split
from sequnet_pl.errors import UsageError, UserError
from sequnet_pl.models.network import Network

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Prompt:
    """Codes that a network reads first, of which the last ones are in the clip."""

    codes: NDArray[np.uint8]  # (T,), at least one
    shown: int  # how many are in the clip
    source: str = ""  # file; empty for silence
    end: float = 0.0  # seconds into the source at which the prompt ends

    @property
    def context(self) -> NDArray[np.uint8]:
        """The codes that are not in the clip's file."""
        return self.codes[: len(self.codes) - self.shown]

    @property
    def shown_codes(self) -> NDArray[np.uint8]:
        """The codes at the start of the clip's file."""
        return self.codes[len(self.codes) - self.shown :]


SILENCE = Prompt(np.full(1, mulaw.SILENCE, np.uint8), shown=0)
"""Silence before the clip, and none of it in the clip."""


def length(seconds: float, rate: int) -> int:
    """Samples of a prompt that is `seconds` long. UsageError for less than one."""
    shown = round(seconds * rate)
    if shown < 1:
        raise UsageError(f"a prompt of {seconds:g} s is shorter than one sample, 1/{rate} s")
    return shown


def from_file(path: Path, rate: int, context: int, start: float, seconds: float) -> Prompt:
    """`seconds` of an audio file from `start` on, and what comes before, up to `context` samples in all.

    Logs what was converted, and whether the file ends sooner. Raises UserError if nothing can be read there.
    """
    shown = length(seconds, rate)
    source_rate, block = next(frames(path))
    if source_rate != rate or block.shape[1] != 1:
        log.info("%s: %d Hz, channels: %d; read as mono at %d Hz", path, source_rate, block.shape[1], rate)
    begin = max(0.0, start - max(0, context - shown) / rate)
    before = round((start - begin) * rate)
    codes = mulaw.encode(files.read(path, rate, begin, (before + shown) / rate))
    if len(codes) <= before:
        raise UserError(f"{path} ends at {begin + len(codes) / rate:.2f} s, before the prompt's start at {start:g} s")
    if len(codes) < before + shown:
        shown = len(codes) - before
        log.warning("%s: the prompt is only %.2f s long: the file ends there", path, shown / rate)
    if (codes[-shown:] == mulaw.SILENCE).all():
        log.warning("%s: the prompt from %g s on is silent", path, start)
    return Prompt(codes, shown, str(path), start + shown / rate)


def from_split(split: Split, rate: int, context: int, seconds: float, seed: int, clip: int) -> Prompt:
    """A part of a recording that depends on (seed, clip) and the recordings only.

    Each recording is used once, in random order, before one is used again; all positions in it are equally likely. The
    prompt is `seconds` long, shorter at the start of its recording; at least half of a recording shorter than that.
    """
    shown = length(seconds, rate)
    first = np.minimum(shown, (split.lengths + 1) // 2)  # the earliest end of a prompt in each recording
    cycle, index = divmod(clip, len(first))
    recording = int(np.random.default_rng([seed, cycle, 1]).permutation(len(first))[index])
    end = int(np.random.default_rng([seed, clip]).integers(first[recording], split.lengths[recording] + 1))
    offset, found = int(split.offsets[recording]), split.recordings[recording]
    codes = np.array(split.codes[offset + max(0, end - max(context, shown)) : offset + end])
    return Prompt(codes, min(shown, end), found.source, (found.start + end) / rate)


def stack(prompts: Sequence[Prompt], network: Network) -> Tensor:
    """Codes for `generate.start`: (T,) where all clips have the same prompt, else (clips, context of the network)."""
    if all(prompt is prompts[0] for prompt in prompts):
        return torch.from_numpy(prompts[0].codes)
    context = network.context(max(len(prompt.codes) for prompt in prompts))
    codes = torch.full((len(prompts), context), mulaw.SILENCE, dtype=torch.uint8)
    for row, prompt in zip(codes, prompts, strict=True):
        last = torch.from_numpy(prompt.codes[-context:])
        row[context - len(last) :] = last
    return codes
