"""Which recordings train, validate and test: what a folder's own subfolders say, or a seeded hash of the names."""

import hashlib
import logging
import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path, PurePath

from sequnet_pl.audio import files
from sequnet_pl.errors import UsageError, UserError

SPLITS = ("train", "val", "test")

Parts = dict[str, list[Path]]
"""The audio files of each split."""

log = logging.getLogger(__name__)


def split_folder(folder: Path, seed: int = 0, val_share: float = 0.1, test_share: float = 0.1) -> Parts:
    """The audio files of each split, each list sorted by path.

    A folder with `train/`, `val/` or `test/` is taken at its word; without files in `val/`, `val_share` of train's are
    held out. Any other folder is split by file, never within one: by a hash of (seed, path in the folder), so that the
    split outlives a move and an added file; each split gets at least one file from three files up, fewer all train.
    Raises UserError for a folder that is missing, empty, without audio, or with nothing to train on.
    """
    if val_share < 0 or test_share < 0 or val_share + test_share >= 1:
        raise UsageError(f"shares of {val_share} for val and {test_share} for test leave nothing to train on")
    folder = Path(folder)
    _check_there(folder)
    if any((folder / split).is_dir() for split in SPLITS):
        parts = _from_subfolders(folder, seed, val_share)
    else:
        parts = split_files(files.find(folder), folder, seed, val_share, test_share)
    if not any(parts.values()):
        raise _without_audio(folder)
    return checked(parts, folder)


def check_folder(folder: Path) -> None:
    """Raise UserError for a folder that is missing, or without audio."""
    _check_there(folder)
    if not files.find(folder):
        raise _without_audio(folder)


def _check_there(folder: Path) -> None:
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}; name one that holds audio files")


def split_files(found: list[Path], root: Path, seed: int = 0, val_share: float = 0.1, test_share: float = 0.1) -> Parts:
    """Split files by a hash of (seed, path from `root`); each split gets one from three files up, fewer all train."""
    if len(found) < 3:
        return {"train": found, "val": [], "test": []}
    ranked = _ranked(root, found, seed)
    tests = _count(len(found), test_share, most=len(found) - 2)
    vals = _count(len(found), val_share, most=len(found) - tests - 1)
    place = {
        path: "test" if rank < tests else "val" if rank < tests + vals else "train" for rank, path in enumerate(ranked)
    }
    return {split: [path for path in found if place[path] == split] for split in SPLITS}


def hold_out_val(parts: Parts, root: Path, seed: int = 0, share: float = 0.1) -> Parts:
    """Where nothing validates, hold out a share of train's files, by a hash of (seed, path from `root`)."""
    train = parts["train"]
    if parts["val"] or len(train) < 2:
        return parts
    held_out = set(_ranked(root, train, seed)[: _count(len(train), share, most=len(train) - 1)])
    return parts | {
        "train": [path for path in train if path not in held_out],
        "val": [path for path in train if path in held_out],
    }


def checked(parts: Parts, where: Path) -> Parts:
    """Say what nothing validates or tests. Raises UserError where nothing trains."""
    empty = [split for split in SPLITS if not parts[split]]
    if "train" in empty:
        raise UserError(f"{where} has no audio to train on")
    if empty:
        what = " or ".join({"val": "validated", "test": "tested"}[split] for split in empty)
        log.warning("%s: files that train: %d; nothing is %s", where, len(parts["train"]), what)
    return parts


def _from_subfolders(folder: Path, seed: int, val_share: float) -> Parts:
    parts = {split: files.find(folder / split) for split in SPLITS}
    if ignored := len(files.find(folder)) - sum(map(len, parts.values())):
        log.warning("%s: %d files outside train/, val/ and test/ are not used", folder, ignored)
    return hold_out_val(parts, folder, seed, val_share)


def _count(files_in_all: int, share: float, most: int) -> int:
    """How many files are held out: the nearest whole number, at least one unless the share is 0."""
    return min(max(1, round(files_in_all * share)), most) if share else 0


def _ranked(root: Path, paths: Sequence[Path], seed: int) -> list[Path]:
    def rank(path: Path) -> bytes:
        # One system writes an accent as part of its letter, another as a character of its own.
        name = unicodedata.normalize("NFC", PurePath(os.path.relpath(path, root)).as_posix())
        return hashlib.sha256(f"{seed}:{name}".encode(errors="surrogateescape")).digest()

    return sorted(paths, key=rank)


def _without_audio(folder: Path) -> UserError:
    if not any(folder.iterdir()):
        return UserError(f"the folder {folder} is empty; put audio files there, or name another one")
    return UserError(f"the folder {folder} holds no audio files ({_endings()})")


def _endings() -> str:
    return "what counts ends in " + ", ".join(sorted(files.SUFFIXES))
