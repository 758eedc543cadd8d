"""The built-in recordings: public-domain melodies played on a synthesised piano.

They are there so that a demonstration and the tests have something worth learning without a download. They are not
for the published experiment, which is on recordings of real pianos: bits per sample on one say nothing of the other.
"""

import json
from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from functools import partial
from pathlib import Path

import soundfile

from sequnet_pl.atomic import make_folder, replacing, write_text
from sequnet_pl.data.builtin.pieces import PIECES, Piece
from sequnet_pl.data.builtin.synth import record
from sequnet_pl.errors import UsageError, UserError
from sequnet_pl.processes import cores, run_all

VERSION = 1
"""Counts up with every change that can be heard: recordings of another version are made anew."""
TAKES = 2
"""How often each piece of train is played unless more is asked for, in another key and tempo each time."""
MOST_TAKES = 1000
"""A hundred hours, and 7 GB."""

_MANIFEST = "builtin.json"


def check_takes(takes: int) -> None:
    """UsageError for a number of takes that there is not."""
    if not 1 <= takes <= MOST_TAKES:
        raise UsageError(f"--builtin_takes is {takes}, but each piece is played 1 to {MOST_TAKES:,} times")


def write_recordings(
    folder: Path,
    rate: int = 16_000,
    takes: int = TAKES,
    workers: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, list[Path]]:
    """Make the recordings that `folder` lacks, as 16-bit FLAC at `rate` Hz, and give the paths of all by split.

    Each piece of train is there in so many `takes`, those of val and test in one. Each file is a function of its name,
    `rate` and VERSION alone (up to rounding) and appears when it is whole, so an interrupted folder is completed and a
    finished one only listed. `workers` processes make them, as many as there are cores by default;
    `progress(done, total)` is called after each file that was missing.
    Raises UserError where `folder` cannot be written or holds files of somebody else.
    """
    pieces = {
        folder / piece.split / f"{piece.name}_{take}.flac": piece
        for take in range(1, takes + 1)
        for piece in PIECES
        if take == 1 or piece.split == "train"
    }
    _claim(folder, rate, sorted(pieces))
    missing = {path: piece for path, piece in pieces.items() if not path.exists()}
    _make(missing, rate, workers or cores(), progress)
    return {
        split: sorted(path for path, piece in pieces.items() if piece.split == split)
        for split in ("train", "val", "test")
    }


def _make(pieces: dict[Path, Piece], rate: int, workers: int, progress: Callable[[int, int], None]) -> None:
    """Play and record each piece. UserError where one cannot be written."""
    jobs = list(pieces.items())
    with closing(run_all(partial(_record, rate), jobs, workers)) as results:
        for done, ((path, _), error) in enumerate(results, start=1):
            if isinstance(error, BrokenProcessPool):
                raise UserError(f"the process that made {path} died; start again to continue") from error
            if error:
                raise error
            progress(done, len(jobs))


def _record(rate: int, job: tuple[Path, Piece]) -> None:
    path, piece = job
    with replacing(path) as temporary, temporary.open("wb") as file:
        soundfile.write(file, record(piece, path.stem, rate), rate, subtype="PCM_16", format="FLAC")


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
