"""The built-in recordings: public-domain melodies played on a synthesised piano.

They are there so that a demonstration and the tests have something worth learning without a download. They are not
for the published experiment, which is on recordings of real pianos: bits per sample on one say nothing of the other.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import soundfile

from sequnet_pl.atomic import make_folder, replacing, write_text
from sequnet_pl.data.builtin.pieces import PIECES
from sequnet_pl.data.builtin.synth import record
from sequnet_pl.errors import UserError

VERSION = 1
"""Counts up with every change that can be heard: recordings of another version are made anew."""
TAKES = {"train": 2, "val": 1, "test": 1}
"""How often each piece of a split is played, in another key and tempo each time."""

_MANIFEST = "builtin.json"


def write_recordings(
    folder: Path, rate: int = 16_000, progress: Callable[[int, int], None] = lambda done, total: None
) -> dict[str, list[Path]]:
    """Make the recordings that `folder` lacks, as 16-bit FLAC at `rate` Hz, and give the paths of all by split.

    Each file is a function of its name, `rate` and VERSION alone (up to rounding) and appears when it is whole, so an
    interrupted folder is completed and a finished one only listed. `progress(done, total)` is called after each file.
    Raises UserError where `folder` cannot be written or holds files of somebody else.
    """
    takes = {
        folder / piece.split / f"{piece.name}_{take}.flac": piece
        for piece in PIECES
        for take in range(1, TAKES[piece.split] + 1)
    }
    _claim(folder, rate, sorted(takes))
    for done, (path, piece) in enumerate(takes.items(), start=1):
        if not path.exists():
            with replacing(path) as temporary, temporary.open("wb") as file:
                soundfile.write(file, record(piece, path.stem, rate), rate, subtype="PCM_16", format="FLAC")
        progress(done, len(takes))
    return {split: sorted(path for path, piece in takes.items() if piece.split == split) for split in TAKES}


def _claim(folder: Path, rate: int, paths: Sequence[Path]) -> None:
    """Note in `folder` what is to lie there; before that, remove what another version or rate noted."""
    make_folder(folder)
    manifest = folder / _MANIFEST
    planned = {"version": VERSION, "rate": rate, "files": [path.relative_to(folder).as_posix() for path in paths]}
    try:
        noted = json.loads(manifest.read_text(encoding="utf-8"))
        if noted == planned:
            return
        for name in noted["files"]:
            (folder / name).unlink(missing_ok=True)
    except FileNotFoundError:
        if any(not path.name.startswith(".") for path in folder.iterdir()):
            raise UserError(f"{folder} already holds other files; choose an empty folder for the recordings") from None
    except (ValueError, TypeError, KeyError, OSError) as error:
        raise UserError(f"cannot make the recordings in {folder} ({error}); delete that folder") from error
    write_text(manifest, json.dumps(planned, indent=1))
