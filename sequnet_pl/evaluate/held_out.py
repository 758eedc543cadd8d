"""The held-out recordings that generated clips are set against."""

import hashlib
import logging
import os
from pathlib import Path

from sequnet_pl.audio import files
from sequnet_pl.data.sources import folders_of
from sequnet_pl.data.splits import split_folders
from sequnet_pl.data.store import Split, make_store, open_split
from sequnet_pl.errors import UserError
from sequnet_pl.sampling.load import open_recordings
from sequnet_pl.training.trained import Trained

log = logging.getLogger(__name__)


def held_out(audio_dir: str | None, trained: Trained | None, rate: int) -> Split:
    """The test split of the recordings, else val, which is said; never what was trained on.

    A folder other than that of the training is held out as a whole where it has no train/, val/ or test/.
    UserError where nothing is held out.
    """
    learnt = folders_of(trained.data.get("audio_dir")) if trained else []
    if audio_dir and os.path.realpath(audio_dir) not in [os.path.realpath(folder) for folder in learnt]:
        return _folder(Path(audio_dir), trained, rate)
    assert trained
    data = open_recordings(audio_dir if len(learnt) > 1 else None, trained)  # one of several is split as it was there
    for name in ("test", "val"):
        if len((split := data.splits[name]).lengths):
            if name == "val":
                log.warning("there are no test recordings; those of val are taken, which chose the best checkpoint")
            return split
    raise UserError(f"no recordings in {data.folder} are held out; name a folder of others with --audio_dir")


def _folder(folder: Path, trained: Trained | None, rate: int) -> Split:
    """The held-out recordings of a folder as codes, converted as those of the training were."""
    found: list[Path] = []
    if places := split_folders(folder):
        for split in ("test", "val"):
            found = found or [path for place in places[split] for path in files.find(place)]
    else:
        found = files.find(folder)
        log.info("%s: all files count as held out: %d", folder, len(found))
    if not found:
        raise UserError(f"the folder {folder} has no recordings to compare with")
    settings = trained.data if trained else {}
    channel, loudness = settings.get("channel", "mix"), settings.get("loudness")
    silence = settings.get("skip_silence")
    identity = f"held out {folder.resolve()} {rate} {channel} {loudness} {silence}"
    name = f"{folder.resolve().name}-{hashlib.sha256(identity.encode(errors='surrogateescape')).hexdigest()[:8]}"
    store = Path(settings.get("data_dir", "data")) / "codes" / name
    make_store({"test": found}, store, rate, channel=channel, loudness=loudness, skip_silence=silence)
    return open_split(store, "test")
