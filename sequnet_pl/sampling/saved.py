"""Finished clips that can be gone on from: the state of the network, kept in a file beside the clip."""

import hashlib
import json
import pickle
from dataclasses import dataclass
from pathlib import Path

import torch

from sequnet_pl import atomic
from sequnet_pl.errors import UserError
from sequnet_pl.models.network import Network, State
from sequnet_pl.models.sequnet import SeqUNet, SeqUNetState
from sequnet_pl.models.wavenet import WaveNet, WaveNetState
from sequnet_pl.sampling.engines import Session
from sequnet_pl.sampling.recipe import Clip

SUFFIX = ".state"

_STATES: dict[type[Network], type[State]] = {SeqUNet: SeqUNetState, WaveNet: WaveNetState}


@dataclass(frozen=True)
class Saved:
    """Where a clip stands at its end."""

    clip: Clip
    session: Session
    """Of a batch as large as the one that made the clip, all rows alike: so its row goes on bit for bit."""


def save(path: Path, clip: Clip, wav: Path, session: Session, row: int) -> None:
    """Keep what row `row` of a session needs to go on. Raises UserError where the file cannot be written."""
    state = session.state.map(lambda tensor: tensor[row : row + 1].cpu().clone())
    content = {
        "clip": json.dumps(clip.to_json()),
        "wav_sha256": _digest(wav),
        "logits": session.logits[row : row + 1].cpu().clone(),
        "drawn": session.drawn,
        "state": vars(state),
    }
    with atomic.replacing(path) as temporary:
        torch.save(content, temporary)


def load(wav: Path) -> Saved:
    """What was saved beside a clip. The network is not needed yet; see `session_on`.

    UserError where nothing was saved, or the clip has changed since.
    """
    path = wav.with_suffix(SUFFIX)
    if not wav.is_file():
        raise UserError(f"there is no clip {wav}")
    if not path.is_file():
        raise UserError(f"{wav} cannot be continued: {path.name} is not beside it (was the clip cut short?)")
    try:
        content = torch.load(path, weights_only=True)
        clip = Clip.from_json(json.loads(content["clip"]))
        state = _STATES[{"sequnet": SeqUNet, "wavenet": WaveNet}[clip.recipe.network]](**content["state"])
        session = Session(content["logits"], state, content["drawn"])
        unchanged = content["wav_sha256"] == _digest(wav)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is damaged: {wav} cannot be continued") from error
    if not unchanged:
        raise UserError(f"{wav} has changed since it was made: it cannot be continued")
    return Saved(clip, session)


def session_on(saved: Saved, device: torch.device) -> Session:
    """A session of the whole batch on a device, to go on with."""
    count = saved.clip.recipe.batch_size

    def repeated(tensor: torch.Tensor) -> torch.Tensor:
        return tensor.to(device).repeat(count, *[1] * (tensor.dim() - 1))

    return Session(repeated(saved.session.logits), saved.session.state.map(repeated), saved.session.drawn)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
