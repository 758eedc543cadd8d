"""The recordings that train, validate and test: as subfolders give it, or by a hash of the names.

A file in several splits is split in time among them, once it is decoded (see `data.store.temporal`).
"""

import hashlib
import logging
import os
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sequnet_pl.audio import files
from sequnet_pl.data.store.index import SPLITS
from sequnet_pl.errors import UserError

Parts = dict[str, list[Path]]
"""The audio files of each split; before they are split, all of them under an empty name."""

HeldOut = Mapping[str, Sequence[str]]
"""Names of the recordings of val and test (see `Source.name_of`)."""

_FRACTION = 0.1  # of the files, for each of val and test
_SPELLINGS = {split: split for split in SPLITS} | dict.fromkeys(("valid", "validation", "dev", "eval"), "val")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SplitRule:
    """Rule to split files whose split is not given.

    Attributes:
        in_time: Split each of them in time, however many there are.
        undecodable: Absolute paths of files that do not decode, which are never held out.
        held_out: The names of val and test in the run that is resumed; all other files train. Empty for a new split.
    """

    in_time: bool = False
    undecodable: frozenset[str] = frozenset()
    held_out: HeldOut = field(default_factory=dict)


BY_NAME = SplitRule()


def split_folder(folder: Path, in_time: bool = False) -> Parts:
    """Return the audio files of each split of a folder; see `list_folder` and `assign`."""
    return assign(list_folder(folder), folder, SplitRule(in_time))


def list_folder(folder: Path) -> Parts:
    """Return the audio files of a folder, by split if it has subfolders of splits (see `split_folders`).

    Raises UserError for a folder that is missing, cannot be read or has no audio.
    """
    folders, found = split_folders(folder), files.find(folder)
    if not found:
        suffixes = ", ".join(sorted(files.SUFFIXES))
        raise UserError(f"the folder {folder} holds no audio files (what counts ends in {suffixes})")
    if not folders:
        return {"": found}
    parts = {split: [path for each in folders[split] for path in files.find(each)] for split in SPLITS}
    if outside := len(found) - sum(map(len, parts.values())):
        log.warning("%s: %d files outside train/, val/ and test/ are not used", folder, outside)
    return parts


def assign(parts: Parts, root: Path, rule: SplitRule = BY_NAME, prefix: str = "") -> Parts:
    """Return the files of train, val and test, of which some or all may be given.

    Files without a split are split by a hash of their path from `root`, so that the split outlives a move and an added
    file, or as in the run that is resumed, whose names are these paths with a `prefix`; each split has at least one
    file. Where fewer than three decode, or with `rule.in_time`, each is split in time instead. Where train is given and
    nothing validates, some of train's files are held out alike. Raises UserError where nothing trains.
    """
    if "" in parts:
        parts = _hold_out(parts[""], ("val", "test"), root, rule, prefix)
    elif not parts["val"]:
        parts = parts | _hold_out(parts["train"], ("val",), root, rule, prefix)
    if not parts["train"]:
        raise UserError(f"{root} has no audio to train on")
    return parts


def _hold_out(found: list[Path], splits: Sequence[str], root: Path, rule: SplitRule, prefix: str) -> Parts:
    """Return the files of train and of `splits`."""
    usable = [path for path in found if str(path.absolute()) not in rule.undecodable]
    if rule.in_time or (len(usable) <= len(splits) and not rule.held_out):
        return {"train": found} | dict.fromkeys(splits, usable)

    def rank(path: Path) -> bytes:
        return hashlib.sha256(f"0:{files.relative_name(path, root)}".encode(errors="surrogateescape")).digest()

    split_of: dict[Path, str] = {}
    if rule.held_out:
        given = {name: split for split in splits for name in rule.held_out.get(split, ())}
        split_of = {path: given.get(prefix + files.relative_name(path, root), "train") for path in usable}
    else:
        ranked, count = sorted(usable, key=rank), max(1, round(len(usable) * _FRACTION))
        for number, split in enumerate(reversed(splits)):
            split_of |= dict.fromkeys(ranked[number * count :][:count], split)
    return {split: [path for path in found if split_of.get(path, "train") == split] for split in ("train", *splits)}


def split_folders(folder: Path) -> Parts:
    """Return the subfolders of each split, none where a folder is to be split by file.

    `train/`, `val/` and `test/` count as they are; beside a train folder they count in upper case and lower, and
    `valid`, `validation`, `dev` and `eval` as val, which is logged. Raises UserError where the folder cannot be read.
    """
    names = _subfolders(folder)
    split_of = split_names(names)
    if any(name != split for name, split in split_of.items()):
        log.warning("%s: %s", folder, ", ".join(f"{name}/ is taken as {split}" for name, split in split_of.items()))
    if not split_of:
        return {}
    return {split: [folder / name for name in split_of if split_of[name] == split] for split in SPLITS}


def split_names(names: Sequence[str]) -> dict[str, str]:
    """Return the split of each of the subfolders with these names that is one of a split."""
    split_of = {name: name for name in names if name in SPLITS}
    if any(name.lower() == "train" for name in names):
        split_of = {name: _SPELLINGS[name.lower()] for name in names if name.lower() in _SPELLINGS}
    return split_of


def folder_labels(folder: Path, recordings: Sequence[str]) -> dict[str, str]:
    """Return the label of each of these recordings that is in a folder, empty for none.

    It is the name of the first folder below the split, in Unicode's composed form: systems differ in how they write an
    accent.
    """
    splits, root, labels = split_names(_subfolders(folder)), folder.absolute(), dict[str, str]()
    for recording in recordings:
        if Path(recording).is_relative_to(root):
            *folders, _ = Path(recording).relative_to(root).parts
            below = folders[1:] if folders and folders[0] in splits else folders
            labels[recording] = unicodedata.normalize("NFC", below[0]) if below else ""
    return labels


def _subfolders(folder: Path) -> list[str]:
    try:  # a link that cannot be followed may be a folder
        return sorted(entry.name for entry in os.scandir(folder) if entry.is_symlink() or entry.is_dir())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError(f"there is no folder {folder}; name one that holds audio files") from error
    except OSError as error:
        raise UserError(f"cannot read the folder {folder}: {error.strerror}") from error
