"""Where recordings come from: a folder, a list of files, a list to download, the published piano, or built in."""

import csv
import io
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from itertools import permutations
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

from sequnet_pl import atomic
from sequnet_pl.audio import files
from sequnet_pl.data import builtin, download
from sequnet_pl.data.download.items import read_list
from sequnet_pl.data.download.report import REPORT
from sequnet_pl.data.splits import (
    NOTHING_KNOWN,
    SPLITS,
    Known,
    Parts,
    check_folder,
    checked,
    hold_out_val,
    split_files,
    split_folder,
)
from sequnet_pl.data.store.cuts import cut_sources
from sequnet_pl.data.store.locks import lock
from sequnet_pl.errors import UsageError, UserError

Dataset = Literal["piano", "builtin"]
Folders = str | list[str] | None
"""One folder, several, or none."""


@dataclass(frozen=True)
class Source:
    """Recordings that a user asked for.

    Attributes:
        identity: What tells them from all others.
        name: A short name for people.
        find: Returns the audio files of each split, after making or downloading them. Raises UserError where there is
            nothing to train on.
        check: Raises UserError where that is certain before anything is made or downloaded.
        is_cut: Whether any file is split in time, as far as that is known before anything is downloaded.
        roots: Folders to which the names of recordings are relative; none where the source itself gives all splits.
    """

    identity: str
    name: str
    find: Callable[[Known], Parts]
    check: Callable[[], object] = lambda: None
    is_cut: Callable[[Known], bool] = lambda known: True
    roots: tuple[Path, ...] = ()

    def name_of(self, recording: str) -> str:
        """Return the name of a recording: its path in its folder, with the folder's number where there are several."""
        for number, root in enumerate(self.roots):
            if len(self.roots) == 1 or Path(recording).is_relative_to(root.absolute()):
                prefix = f"{number}/" if len(self.roots) > 1 else ""
                return prefix + files.relative_name(Path(recording), root)
        return ""


def folders_of(audio_dir: Folders) -> list[str]:
    """The folders that are named, as a list."""
    return [audio_dir] if isinstance(audio_dir, str) else audio_dir or []


def choose(
    data_dir: Path,
    rate: int,
    dataset: Dataset,
    audio_dir: Folders,
    audio_list: str | None,
    recordings: str | None,
    builtin_takes: int | None = None,
    workers: int | None = None,
    in_time: bool = False,
) -> Source:
    """The recordings that the options name; what is made or downloaded goes below `data_dir`.

    At most one of `audio_dir`, `audio_list` and `recordings` overrides the `dataset`, and `builtin_takes` is of the
    built-in one alone: else UsageError. So many `workers` make that, as many as there are cores by default. With
    `in_time` files are cut in time wherever the split is not given.
    """
    folders = folders_of(audio_dir)
    lists = {"audio_list": audio_list, "recordings": recordings}
    given = {} if audio_dir is None else {"audio_dir": folders or [""]}
    given |= {name: [value] for name, value in lists.items() if value is not None}
    if empty := [name for name, values in given.items() if "" in values]:
        raise UsageError(f"{empty[0]} is empty: name what it is to be, or leave it out")
    told = [f"--{name} {' '.join(values)}" for name, values in given.items()]
    if len(told) > 1:
        raise UsageError(f"{' and '.join(told)} each say which recordings to take; keep one of them")
    if builtin_takes is not None:
        builtin.check_takes(builtin_takes)
        if told or dataset != "builtin":
            other = told[0] if told else f"--dataset {dataset}"
            raise UsageError(f"--builtin_takes {builtin_takes} goes with --dataset builtin, not with {other}")
    kept = data_dir / "recordings"
    if folders:
        return _of_folders([Path(folder) for folder in folders], in_time)
    if audio_list:
        path = Path(audio_list)
        find = partial(from_list, path, in_time)
        return Source(
            f"list {os.path.realpath(path)}",
            path.stem,
            find,
            partial(_listed, path),
            lambda known: is_cut(find(known)),
            (path.parent,),
        )
    if recordings:
        path = Path(recordings)
        identity = f"downloads {os.path.realpath(path)}"
        folder = kept / f"{path.stem}-{sha256(os.fsencode(identity)).hexdigest()[:8]}"
        find = partial(from_downloads, path, folder, in_time)
        read = partial(read_list, path)
        return Source(
            identity, path.stem, find, read, lambda known: all(item.split != "val" for item in read()), (folder,)
        )
    if dataset == "builtin":
        takes = builtin_takes or builtin.TAKES
        name = dataset if takes == builtin.TAKES else f"{dataset}-{takes}"
        made = partial(_builtin, kept / name, rate, takes, workers)
        return Source(name, name, lambda known: made(), is_cut=lambda known: False)
    return Source(dataset, dataset, partial(piano, kept, in_time), roots=(kept,))


def is_cut(parts: Parts) -> bool:
    """Whether any file is cut in time."""
    return bool(cut_sources({split: [str(path) for path in paths] for split, paths in parts.items()}))


def _of_folders(paths: list[Path], in_time: bool) -> Source:
    """One folder, or several, each split by itself. UsageError where one lies in another."""
    real = [Path(os.path.realpath(path)) for path in paths]  # which a link to itself does not stop
    for one, other in permutations(range(len(paths)), 2):
        if real[one].is_relative_to(real[other]):
            what = "is named twice" if real[one] == real[other] else f"lies in {paths[other]}"
            raise UsageError(f"--audio_dir: {paths[one]} {what}, but a recording belongs to one folder")

    def find(known: Known = NOTHING_KNOWN) -> Parts:
        each = [
            split_folder(path, in_time=in_time, known=_of_one(known, number) if len(paths) > 1 else known)
            for number, path in enumerate(paths)
        ]
        return {split: [file for parts in each for file in parts[split]] for split in SPLITS}

    def check() -> None:
        for path in paths:
            check_folder(path)

    name = real[0].name if len(real) == 1 else f"{real[0].name}+{len(real) - 1}"
    return Source("\n".join(map(str, real)), name, find, check, lambda known: is_cut(find(known)), tuple(paths))


def _of_one(known: Known, number: int) -> Known:
    """Return what is known of one of several folders."""
    prefix = f"{number}/"
    names = {
        split: [name.removeprefix(prefix) for name in names if name.startswith(prefix)]
        for split, names in known.held_out.items()
    }
    return Known(known.undecodable, names)


def _builtin(folder: Path, rate: int, takes: int, workers: int | None) -> Parts:
    """The built-in recordings, made as far as they are missing."""
    columns = (*Progress.get_default_columns()[:-1], MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    bar = Progress(*columns, console=console, disable=not console.is_terminal)
    made = bar.add_task("Playing the piano")

    def show(done: int, total: int) -> None:
        bar.start()  # not before, where all is there already
        bar.update(made, completed=done, total=total)

    try:
        return builtin.write_recordings(folder, rate, takes, workers, show)
    finally:
        if bar.live.is_started:
            bar.stop()


def piano(folder: Path, in_time: bool = False, known: Known = NOTHING_KNOWN) -> Parts:
    """The published recordings, downloaded as far as they are missing; no val of theirs, so some of train's."""
    with lock(atomic.make_folder(folder)):
        download.download_piano(folder)
    parts: Parts = {split: files.find(folder / split).files for split in SPLITS}
    return checked(hold_out_val(parts, folder, in_time=in_time, known=known), folder)


def from_downloads(path: Path, folder: Path, in_time: bool = False, known: Known = NOTHING_KNOWN) -> Parts:
    """The recordings of a list of URLs or YouTube ids, downloaded into `folder`; split as the list says, else by file.

    Raises UserError where the list is of no use or nothing came.
    """
    items = read_list(path)
    with lock(atomic.make_folder(folder)):
        result = download.download(items, folder)
    if not result.files:
        why = result.stopped or f"{folder / REPORT} says why"
        raise UserError(f"none of the {len(items)} recordings of {path} could be downloaded ({why})")
    if any(item.split for item in items):
        parts = {split: sorted(f for f in result.files if f.parent.name == split) for split in SPLITS}
        return checked(hold_out_val(parts, folder, in_time=in_time, known=known), path)
    return checked(split_files(sorted(result.files), folder, in_time=in_time, known=known), path)


def from_list(path: Path, in_time: bool = False, known: Known = NOTHING_KNOWN) -> Parts:
    """The files of a csv with the columns `path`, from its own folder on where it is relative, and `split`.

    Without any in val, some of train's. Raises UserError with the line of a row that is of no use.
    """
    return checked(hold_out_val(_listed(path), path.parent, in_time=in_time, known=known), path)


def _listed(path: Path) -> Parts:
    parts: Parts = {split: [] for split in SPLITS}
    lines: dict[Path, int] = {}
    for line, name, split in _rows(path):
        file, where = path.parent / name, f"{path}, line {line}"
        if not name:
            raise UserError(f"{where}: the path is missing")
        if split not in SPLITS:
            raise UserError(f"{where}: the split is {split!r}, but must be one of {', '.join(SPLITS)}")
        if not _may_be_file(file):
            raise UserError(f"{where}: there is no file {file}")
        first = lines.setdefault(file.resolve(), line)
        if first != line:
            raise UserError(f"{where}: {name} stands in line {first} already; a recording has one row")
        parts[split].append(file)
    return parts


def _may_be_file(path: Path) -> bool:
    """Whether this is a file, or cannot be looked at, which the store will say."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except PermissionError:
        return True
    except OSError:
        return False


def _rows(path: Path) -> list[tuple[int, str, str]]:
    """Line, path and split of each row."""
    try:
        text = path.read_text(encoding="utf-8-sig", errors="surrogateescape")  # names of files need not be UTF-8
        reader = csv.DictReader(io.StringIO(text, newline=""), skipinitialspace=True)
        reader.fieldnames = [name.strip() for name in reader.fieldnames or ()]
        if missing := {"path", "split"} - set(reader.fieldnames):
            raise UserError(
                f"the list {path} has no column {' and '.join(sorted(missing))}; its first line is its header"
            )
        return [(reader.line_num, (row["path"] or "").strip(), (row["split"] or "").strip()) for row in reader]
    except OSError as error:
        raise UserError(f"cannot read the list {path}: {error.strerror}") from error
    except csv.Error as error:
        raise UserError(f"the list {path} is not a csv in UTF-8") from error
