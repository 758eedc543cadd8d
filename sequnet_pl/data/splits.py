"""Which recordings train, validate and test: what a folder's own subfolders say, or a seeded hash of the names.

A file that stands in several splits is cut in time among them, once it is decoded (see `data.store.cuts`).
"""

import hashlib
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sequnet_pl.audio import files
from sequnet_pl.data.store.index import SPLITS
from sequnet_pl.errors import UsageError, UserError

Parts = dict[str, list[Path]]
"""The audio files of each split; below train also what cannot be read, so that the store says so."""

HeldOut = Mapping[str, Sequence[str]]
"""Names of the recordings of val and test, relative to their folder."""


@dataclass(frozen=True)
class Known:
    """Facts about the files that are to be split.

    Attributes:
        undecodable: Absolute paths of files that do not decode, which are never held out.
        held_out: The names of val and test in the run that is resumed; all other files train. Empty for a new split.
    """

    undecodable: frozenset[str] = frozenset()
    held_out: HeldOut = field(default_factory=dict)

    def usable(self, paths: Sequence[Path]) -> list[Path]:
        """Return the paths without those that do not decode."""
        return [path for path in paths if str(path.absolute()) not in self.undecodable]

    def of(self, split: str, paths: Sequence[Path], root: Path) -> list[Path]:
        """Return the paths that were in a split."""
        names = set(self.held_out.get(split, ()))
        return [path for path in paths if files.relative_name(path, root) in names]


NOTHING_KNOWN = Known()

_SPELLINGS = {split: split for split in SPLITS} | dict.fromkeys(("valid", "validation", "dev"), "val")
_EVAL = "eval"
_NO_SPLITS = {"training", "testing", "tests", "evaluation", "vali", "held-out", "heldout"}

log = logging.getLogger(__name__)


def split_folder(
    folder: Path,
    seed: int = 0,
    val_share: float = 0.1,
    test_share: float = 0.1,
    in_time: bool = False,
    known: Known = NOTHING_KNOWN,
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
        parts, unread = _from_subfolders(folder, places, seed, val_share, in_time, known)
    else:
        found, unread = files.find(folder)
        parts = split_files(found, folder, seed, val_share, test_share, in_time, known)
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
    known: Known = NOTHING_KNOWN,
) -> Parts:
    """Split files by a hash of (seed, path from `root`), or as a resumed run did.

    Fewer than three files that decode, or with `in_time` all, are split in time.
    """
    usable = known.usable(found)
    held_out: Parts = {"val": [], "test": []}
    if in_time or (len(usable) < 3 and not known.held_out):
        shares = {"val": val_share, "test": test_share}
        return {"train": found} | {split: usable if share else [] for split, share in shares.items()}
    if known.held_out:
        held_out = {split: known.of(split, usable, root) for split in held_out}
    else:
        ranked = _ranked(root, usable, seed)
        tests = _count(len(usable), test_share, most=len(usable) - 2)
        vals = _count(len(usable), val_share, most=len(usable) - tests - 1)
        held_out = {"val": ranked[tests : tests + vals], "test": ranked[:tests]}
    return _without(found, held_out)


def hold_out_val(
    parts: Parts,
    root: Path,
    seed: int = 0,
    share: float = 0.1,
    in_time: bool = False,
    known: Known = NOTHING_KNOWN,
) -> Parts:
    """Where nothing validates, hold out a share of train's files, by a hash of (seed, path from `root`), or as before.

    A single file that decodes, or with `in_time` each of them, is split in time instead.
    """
    train = known.usable(parts["train"])
    if parts["val"] or not share or not train:
        return parts
    if in_time or (len(train) < 2 and not known.held_out):
        return parts | {"val": train}
    val = known.of("val", train, root) if known.held_out else []
    val = val or _ranked(root, train, seed)[: _count(len(train), share, most=len(train) - 1)]
    return parts | _without(parts["train"], {"val": val})


def _without(found: list[Path], held_out: Parts) -> Parts:
    """Return train, the files that are not held out, and the others in the order of `found`."""
    place = {path: split for split, paths in held_out.items() for path in paths}
    return {split: [path for path in found if place.get(path, "train") == split] for split in ("train", *held_out)}


def checked(parts: Parts, where: Path) -> Parts:
    """Return the parts. Raises UserError where nothing trains."""
    if not parts["train"]:
        raise UserError(f"{where} has no audio to train on")
    return parts


def lacking(splits: Sequence[str]) -> str:
    """What is not done without any of val and test."""
    return " or ".join({"val": "validated", "test": "tested"}[split] for split in splits)


def _from_subfolders(
    folder: Path, places: Parts, seed: int, val_share: float, in_time: bool, known: Known
) -> tuple[Parts, list[Path]]:
    """The files of each split, and what cannot be read."""
    found = {split: [files.find(place) for place in places[split]] for split in SPLITS}
    inside = {place.name for split in SPLITS for place in places[split]}
    outside = [path for path in files.find(folder).files if path.relative_to(folder).parts[0] not in inside]
    if outside:
        log.warning("%s: %d files outside train/, val/ and test/ are not used", folder, len(outside))
    parts = {split: [path for there in found[split] for path in there.files] for split in SPLITS}
    unread = [path for split in SPLITS for there in found[split] for path in there.unread]
    return hold_out_val(parts, folder, seed, val_share, in_time, known), unread


def _count(files_in_all: int, share: float, most: int) -> int:
    """How many files are held out: the nearest whole number, at least one unless the share is 0."""
    return min(max(1, round(files_in_all * share)), most) if share else 0


def _ranked(root: Path, paths: Sequence[Path], seed: int) -> list[Path]:
    def rank(path: Path) -> bytes:
        return hashlib.sha256(f"{seed}:{files.relative_name(path, root)}".encode(errors="surrogateescape")).digest()

    return sorted(paths, key=rank)


def _without_audio(folder: Path) -> UserError:
    if not any(folder.iterdir()):
        return UserError(f"the folder {folder} is empty; put audio files there, or name another one")
    return UserError(f"the folder {folder} holds no audio files ({_endings()})")


def _endings() -> str:
    return "what counts ends in " + ", ".join(sorted(files.SUFFIXES))
