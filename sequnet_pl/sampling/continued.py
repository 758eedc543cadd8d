"""Clips that `sample.py --continue` reads: the wav, its entry in clips.json, and the context before its prompt."""

import hashlib
import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sequnet_pl import atomic
from sequnet_pl.audio.files import read_codes
from sequnet_pl.audio.mulaw import SILENCE
from sequnet_pl.errors import UserError
from sequnet_pl.models.network import Network
from sequnet_pl.sampling.clip_folder import LIST, read_list
from sequnet_pl.sampling.metadata import Clip

log = logging.getLogger(__name__)

_SUFFIX = ".context"


def needed_context(network: Network, clip: Clip, context: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the end of the codes (T,) before the wav: as many as `generate.resume` reads besides it, without silence.

    They are at most `window(1).inputs`, or all where the receptive field is unbounded.
    """
    inputs = network.context(len(context) + clip.samples)
    count = min(inputs, max(0, inputs - clip.samples + clip.drawn % network.cycle), len(context))
    context = context[len(context) - count :]
    sound = np.flatnonzero(context != SILENCE)
    return context[sound[0] :] if len(sound) else context[:0]


def write_context(wav: Path, context: NDArray[np.uint8]) -> None:
    """Write codes (T,) beside a clip, one byte each. Raises UserError if that fails."""
    with atomic.replacing(wav.with_suffix(_SUFFIX)) as temporary:
        temporary.write_bytes(context.tobytes())


def digest(wav: Path) -> str:
    """Return the SHA-256 of a file."""
    with wav.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_clip(wav: Path) -> tuple[Clip, NDArray[np.uint8], NDArray[np.uint8]]:
    """Return a clip that sample.py made, the codes (T,) that were read before it, and its own codes (T,).

    Of a clip of an earlier version the context is not known, and counts as silence; this is logged.
    Raises UserError if the clip, its entry or its context is missing, or the clip was edited.
    """
    if not wav.is_file():
        raise UserError(f"there is no clip {wav}")
    clip = read_list(wav.parent).get(wav.name)
    if clip is None:
        raise UserError(f"{wav} cannot be continued: it is not in {wav.with_name(LIST)}")
    codes = read_codes(wav)
    if len(codes) != clip.samples or clip.wav_sha256 not in ("", digest(wav)):
        raise UserError(f"{wav} has changed since it was made: it cannot be continued")
    if not clip.wav_sha256:
        log.warning(
            "%s was made by an earlier version: edits are not detected, and sound before its prompt counts as silence",
            wav,
        )
    path = wav.with_suffix(_SUFFIX)
    context = np.fromfile(path, np.uint8) if clip.context_samples and path.is_file() else np.empty(0, np.uint8)
    if len(context) != clip.context_samples:
        raise UserError(f"{wav} cannot be continued: {path} must have {clip.context_samples} codes, not {len(context)}")
    return clip, context, codes
