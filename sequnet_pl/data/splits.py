"""Which recordings train, validate and test: what a folder's own subfolders say, or a seeded hash of the names.

A file that stands in several splits is cut in time among them, once it is decoded (see `data.store.cuts`).
"""

import hashlib
import logging
import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path, PurePath

from sequnet_pl.audio import files
from sequnet_pl.data.store.index import SPLITS
from sequnet_pl.errors import UsageError, UserError

Parts = dict[str, list[Path]]
"""The audio files of each split; below train also what cannot be read, so that the store says so."""

_SPELLINGS = {split: split for split in SPLITS} | dict.fromkeys(("valid", "validation", "dev"), "val")
_EVAL = "eval"
_NO_SPLITS = {"training", "testing", "tests", "evaluation", "vali", "held-out", "heldout"}

log = logging.getLogger(__name__)


def split_folder(
    folder: Path, seed: int = 0, val_share: float = 0.1, test_share: float = 0.1, in_time: bool = False
) -> Parts:
    """The audio files of each split, each list sorted by path.

    A folder with subfolders of splits (see `split_folders`) is taken at its word; without files in `val/`, `val_share`
    of train's are held out. Any other folder is split by file: by a hash of (seed, path in the folder), so that the
    split outlives a move and an added file; each split gets at least one file from three files up. Where there are too
    few files for that, or with `in_time`, each is cut in time instead.
    Raises UserError for a folder that is missing, cannot be read, is empty, without audio, or with nothing to train on.
    """
    if val_share < 0 or test_share < 0 or val_share + test_share >= 1:
        raise UsageError(f"shares of {val_share} for val and {test_share} for test leave nothing to train on")
    folder = Path(folder)
    if places := split_folders(folder):
        parts, unread = _from_subfolders(folder, places, seed, val_share, in_time)
    else:
        found, unread = files.find(folder)
        parts = split_files(found, folder, seed, val_share, test_share, in_time)
    if not any(parts.values()) and not unread:
        raise _without_audio(folder)
    if parts["train"] or not unread:  # else the store says why
        checked(parts, folder)
    return parts | {"train": parts["train"] + unread}


def split_folders(folder: Path) -> Parts:
    """The subfolders of each split, none where a folder is to be split by file.

    `train/`, `val/` and `test/` count as they are; beside a train folder they count in upper case and lower, and
    `valid`, `validation` and `dev` as val. `eval` is test where only another folder is val, and val otherwise. What
    differs from the plain names is said. Raises UserError where the folder is missing or cannot be read.
    """
    names = _folders(folder)
    split_of = {name: name for name in names if name in SPLITS}
    if any(name.lower() == "train" for name in names):
        split_of = {name: _SPELLINGS[name.lower()] for name in names if name.lower() in _SPELLINGS}
        splits = set(split_of.values())
        as_test = "val" in splits and "test" not in splits
        split_of |= {name: "test" if as_test else "val" for name in names if name.lower() == _EVAL}
    if any(name != split for name, split in split_of.items()):
        log.warning("%s: %s", folder, ", ".join(f"{name}/ is taken as {split}" for name, split in split_of.items()))
    alike = [name for name in names if name not in split_of and name.lower() in {*_SPELLINGS, _EVAL, *_NO_SPLITS}]
    if alike:
        listed = ", ".join(f"{name}/" for name in alike)
        log.warning("%s: not taken as splits, which are named train/, val/ and test/: %s", folder, listed)
    places: Parts = {split: [] for split in SPLITS}
    for name, split in split_of.items():
        real = os.path.realpath(folder / name)
        if all(os.path.realpath(place) != real for place in places[split]):
            places[split].append(folder / name)
    return places if split_of else {}


def check_folder(folder: Path) -> None:
    """Raise UserError for a folder that is missing, cannot be read, or holds no audio."""
    _folders(folder)
    found, unread = files.find(folder)
    if not found and not unread:
        raise _without_audio(folder)


def _folders(folder: Path) -> list[str]:
    """The names of the folders in one. UserError where it is missing or cannot be read."""
    try:
        return sorted(entry.name for entry in os.scandir(folder) if _may_be_folder(entry))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError(f"there is no folder {folder}; name one that holds audio files") from error
    except OSError as error:
        raise UserError(f"cannot read the folder {folder}: {error.strerror}") from error


def _may_be_folder(entry: os.DirEntry[str]) -> bool:
    """Whether this is a folder, or a link that cannot be followed, which `files.find` will name."""
    try:
        return entry.is_dir()
    except OSError:
        return True


def split_files(
    found: list[Path],
    root: Path,
    seed: int = 0,
    val_share: float = 0.1,
    test_share: float = 0.1,
    in_time: bool = False,
) -> Parts:
    """Split files by a hash of (seed, path from `root`); fewer than three, or with `in_time` all, are cut in time."""
    if in_time or len(found) < 3:
        shares = {"train": 1.0, "val": val_share, "test": test_share}
        return {split: found if share else [] for split, share in shares.items()}
    ranked = _ranked(root, found, seed)
    tests = _count(len(found), test_share, most=len(found) - 2)
    vals = _count(len(found), val_share, most=len(found) - tests - 1)
    place = {
        path: "test" if rank < tests else "val" if rank < tests + vals else "train" for rank, path in enumerate(ranked)
    }
    return {split: [path for path in found if place[path] == split] for split in SPLITS}


def hold_out_val(parts: Parts, root: Path, seed: int = 0, share: float = 0.1, in_time: bool = False) -> Parts:
    """Where nothing validates, hold out a share of train's files, by a hash of (seed, path from `root`).

    A single file, or with `in_time` each of them, is cut in time instead.
    """
    train = parts["train"]
    if parts["val"] or not share:
        return parts
    if in_time or len(train) < 2:
        return parts | {"val": train}
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
        log.warning("%s: files that train: %d; nothing is %s", where, len(parts["train"]), lacking(empty))
    return parts


def lacking(splits: Sequence[str]) -> str:
    """What is not done without any of val and test."""
    return " or ".join({"val": "validated", "test": "tested"}[split] for split in splits)


def _from_subfolders(
    folder: Path, places: Parts, seed: int, val_share: float, in_time: bool
) -> tuple[Parts, list[Path]]:
    """The files of each split, and what cannot be read."""
    found = {split: [files.find(place) for place in places[split]] for split in SPLITS}
    inside = {place.name for split in SPLITS for place in places[split]}
    outside = [path for path in files.find(folder).files if path.relative_to(folder).parts[0] not in inside]
    if outside:
        log.warning("%s: %d files outside train/, val/ and test/ are not used", folder, len(outside))
    parts = {split: [path for there in found[split] for path in there.files] for split in SPLITS}
    unread = [path for split in SPLITS for there in found[split] for path in there.unread]
    return hold_out_val(parts, folder, seed, val_share, in_time), unread


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
