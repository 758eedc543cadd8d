"""Where recordings come from: a folder, a list of files, a list to download, the published piano, or built in."""

import csv
import io
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

from sequnet_pl import atomic
from sequnet_pl.audio import files
from sequnet_pl.data import builtin, download
from sequnet_pl.data.download.items import read_list
from sequnet_pl.data.download.report import REPORT
from sequnet_pl.data.splits import SPLITS, Parts, check_folder, checked, hold_out_val, split_files, split_folder
from sequnet_pl.data.store.locks import lock
from sequnet_pl.errors import UsageError, UserError

Dataset = Literal["piano", "builtin"]


@dataclass(frozen=True)
class Source:
    """Recordings that a user asked for.

    Attributes:
        identity: What tells them from all others.
        name: A short name for people.
        find: Gives the audio files of each split, after making or downloading them. Raises UserError where there is
            nothing to train on.
        check: Raises UserError where that is certain before anything is made or downloaded.
    """

    identity: str
    name: str
    find: Callable[[], Parts]
    check: Callable[[], object] = lambda: None


def choose(
    data_dir: Path,
    rate: int,
    dataset: Dataset,
    audio_dir: str | None,
    audio_list: str | None,
    recordings: str | None,
    builtin_takes: int | None = None,
    workers: int | None = None,
) -> Source:
    """The recordings that the options name; what is made or downloaded goes below `data_dir`.

    At most one of `audio_dir`, `audio_list` and `recordings` overrides the `dataset`, and `builtin_takes` is of the
    built-in one alone: else UsageError. So many `workers` make that, as many as there are cores by default.
    """
    options = {"audio_dir": audio_dir, "audio_list": audio_list, "recordings": recordings}
    given = [f"--{name} {value}" for name, value in options.items() if value is not None]
    if empty := [name for name, value in options.items() if value == ""]:
        raise UsageError(f"{empty[0]} is empty: name what it is to be, or leave it out")
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} each say which recordings to take; keep one of them")
    if builtin_takes is not None:
        builtin.check_takes(builtin_takes)
        if given or dataset != "builtin":
            other = given[0] if given else f"--dataset {dataset}"
            raise UsageError(f"--builtin_takes {builtin_takes} goes with --dataset builtin, not with {other}")
    kept = data_dir / "recordings"
    if audio_dir:
        path = Path(audio_dir)
        return Source(
            str(path.resolve()), path.resolve().name, partial(split_folder, path), partial(check_folder, path)
        )
    if audio_list:
        path = Path(audio_list)
        return Source(f"list {path.resolve()}", path.stem, partial(from_list, path), partial(_listed, path))
    if recordings:
        path = Path(recordings)
        identity = f"downloads {path.resolve()}"
        folder = kept / f"{path.stem}-{sha256(os.fsencode(identity)).hexdigest()[:8]}"
        return Source(identity, path.stem, partial(from_downloads, path, folder), partial(read_list, path))
    if dataset == "builtin":
        takes = builtin_takes or builtin.TAKES
        name = dataset if takes == builtin.TAKES else f"{dataset}-{takes}"
        return Source(name, name, partial(_builtin, kept / name, rate, takes, workers))
    return Source(dataset, dataset, partial(piano, kept))


def _builtin(folder: Path, rate: int, takes: int, workers: int | None) -> Parts:
    """The built-in recordings, made as far as they are missing."""
    columns = (*Progress.get_default_columns()[:-1], MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=Console(stderr=True))
    made = bar.add_task("Playing the piano")

    def show(done: int, total: int) -> None:
        bar.start()  # not before, where all is there already
        bar.update(made, completed=done, total=total)

    try:
        return builtin.write_recordings(folder, rate, takes, workers, show)
    finally:
        if bar.live.is_started:
            bar.stop()


def piano(folder: Path) -> Parts:
    """The published recordings, downloaded as far as they are missing; no val of theirs, so some of train's."""
    with lock(atomic.make_folder(folder)):
        download.download_piano(folder)
    parts: Parts = {split: files.find(folder / split).files for split in SPLITS}
    return checked(hold_out_val(parts, folder), folder)


def from_downloads(path: Path, folder: Path) -> Parts:
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
        return checked(hold_out_val(parts, folder), path)
    return checked(split_files(sorted(result.files), folder), path)


def from_list(path: Path) -> Parts:
    """The files of a csv with the columns `path`, from its own folder on where it is relative, and `split`.

    Without any in val, some of train's. Raises UserError with the line of a row that is of no use.
    """
    return checked(hold_out_val(_listed(path), path.parent), path)


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
