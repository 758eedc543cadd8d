"""The built-in recordings: public-domain melodies played on a synthesised piano.

They are there so that a demonstration and the tests have something worth learning without a download. They are not
for the published experiment, which is on recordings of real pianos: bits per sample on the two do not compare.
"""

from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path

import soundfile

from sequnet_pl.atomic import replacing
from sequnet_pl.data.builtin.pieces import PIECES
from sequnet_pl.data.builtin.synth import record
from sequnet_pl.errors import UserError
from sequnet_pl.processes import cores, run_all
from sequnet_pl.progress import with_bar

VERSION = 1
"""Counts up with every audible change; part of the name of the folder of the recordings."""
RENDITIONS = 2
"""Default number of renditions of each piece of train, each in another key and tempo."""


def recordings(folder: Path, renditions: int = RENDITIONS) -> dict[str, list[Path]]:
    """Return the path of each recording by split: `renditions` of a piece of train, one of the others."""
    paths: dict[str, list[Path]] = {"train": [], "val": [], "test": []}
    for piece in PIECES:
        for number in range(1, renditions + 1 if piece.split == "train" else 2):
            paths[piece.split].append(folder / piece.split / f"{piece.name}_{number}.flac")
    return {split: sorted(found) for split, found in paths.items()}


def write_recordings(
    folder: Path, rate: int = 16_000, renditions: int = RENDITIONS, workers: int | None = None
) -> dict[str, list[Path]]:
    """Render the recordings that `folder` lacks, as 16-bit FLAC at `rate` Hz, and return the paths of all by split.

    Each file is a function of its name, `rate` and VERSION alone (up to rounding) and appears when it is complete.
    `workers` processes render, by default one for each core. Raises UserError where `folder` cannot be written.
    """
    paths = recordings(folder, renditions)
    missing = [path for found in paths.values() for path in found if not path.exists()]
    results = run_all(partial(_write, rate=rate), missing, workers or cores())
    with with_bar(results, "Rendering the piano", len(missing)) as counted:
        for path, error in counted:
            if isinstance(error, BrokenProcessPool):
                raise UserError(f"the process that made {path} died; start again to continue") from error
            if error:
                raise error
    return paths


def _write(path: Path, rate: int) -> None:
    piece = next(piece for piece in PIECES if piece.name == path.stem.rpartition("_")[0])
    with replacing(path) as temporary, temporary.open("wb") as file:
        soundfile.write(file, record(piece, path.stem, rate), rate, subtype="PCM_16", format="FLAC")
