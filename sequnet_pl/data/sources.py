"""Sources of recordings: folders, a list of files, a list to download, the published piano, or built in."""

import os
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from hashlib import sha256
from itertools import permutations
from pathlib import Path
from typing import Literal

from sequnet_pl import atomic
from sequnet_pl.audio import files
from sequnet_pl.data import builtin, download
from sequnet_pl.data.download.items import PIANO_LIST, read_list, read_rows
from sequnet_pl.data.splits import BY_NAME, SPLITS, Parts, SplitRule, assign, folder_labels, list_folder
from sequnet_pl.data.store.appending import lock
from sequnet_pl.errors import UsageError, UserError

Dataset = Literal["piano", "builtin"]
Labels = Literal["folder"] | None
"""Sources of the labels of recordings."""
Folders = str | list[str] | None
"""One folder, several, or none."""


@dataclass(frozen=True)
class Source:
    """Source of recordings.

    Attributes:
        identity: A text that no other recordings have.
        name: A short name for people.
        roots: Folders, each of which is split by itself.
        planned: Returns the files of each root before anything is made or downloaded. Raises UserError where options or
            a list are wrong, or a folder has none.
        fetch: Returns the files after making or downloading them. Raises UserError where none are there.
        has_splits: Whether the source itself gives all splits, so that no checkpoint needs to keep them.
        labels: Returns the labels of recordings by their absolute paths, empty for none; None where there are none.
    """

    identity: str
    name: str
    roots: tuple[Path, ...]
    planned: Callable[[], list[Parts]]
    fetch: Callable[[], list[Parts]]
    has_splits: bool = False
    labels: Callable[[Sequence[str]], dict[str, str]] | None = None

    def split(self, found: list[Parts], rule: SplitRule = BY_NAME) -> Parts:
        """Return the files of each split. Raises UserError where nothing trains."""
        together: Parts = {split: [] for split in SPLITS}
        for number, (parts, root) in enumerate(zip(found, self.roots, strict=True)):
            for split, paths in assign(parts, root, rule, self._prefix(number)).items():
                together[split] += paths
        return together

    def name_of(self, recording: str) -> str:
        """Return the name of a recording: its path in its folder, with the folder's number where there are several."""
        for number, root in enumerate(self.roots):
            if len(self.roots) == 1 or Path(recording).is_relative_to(root.absolute()):
                return self._prefix(number) + files.relative_name(Path(recording), root)
        return ""

    def _prefix(self, number: int) -> str:
        return f"{number}/" if len(self.roots) > 1 else ""


def folders_of(audio_dir: Folders) -> list[str]:
    """Return the folders that are named, as a list."""
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
) -> Source:
    """Return the recordings that the options name; what is made or downloaded goes below `data_dir`.

    At most one of `audio_dir`, `audio_list` and `recordings` overrides the `dataset`, and `builtin_takes` is of the
    built-in one alone: else UsageError. `workers` processes render that, by default one for each core.
    """
    options = {"audio_dir": audio_dir, "audio_list": audio_list, "recordings": recordings}
    given = {name: folders_of(value) for name, value in options.items() if value is not None}
    if empty := [name for name, values in given.items() if not values or "" in values]:
        raise UsageError(f"{empty[0]} is empty: name what it is to be, or leave it out")
    flags = [f"--{name} {' '.join(values)}" for name, values in given.items()]
    if len(flags) > 1:
        raise UsageError(f"{' and '.join(flags)} each choose the recordings; keep one of them")
    if builtin_takes is not None:
        if not 1 <= builtin_takes <= 1000:  # a hundred hours, and 7 GB
            raise UsageError(f"--builtin_takes is {builtin_takes}, but each piece is played 1 to 1,000 times")
        if flags or dataset != "builtin":
            other = flags[0] if flags else f"--dataset {dataset}"
            raise UsageError(f"--builtin_takes {builtin_takes} goes with --dataset builtin, not with {other}")
    downloads = data_dir / "recordings"
    if audio_dir:
        return _of_folders([Path(folder) for folder in folders_of(audio_dir)])
    if audio_list:
        path = Path(audio_list)
        listed = cache(partial(read_files, path))
        identity = f"list {os.path.realpath(path)}"
        return Source(identity, path.stem, (path.parent,), listed, listed, labels=partial(_listed_labels, path))
    if recordings:
        path = Path(recordings)
        identity = f"downloads {os.path.realpath(path)}"
        folder = downloads / f"{path.stem}-{sha256(os.fsencode(identity)).hexdigest()[:8]}"
        return _of_downloads(identity, path.stem, path, folder)
    if dataset == "builtin":
        renditions = builtin_takes or builtin.RENDITIONS
        name = dataset if renditions == builtin.RENDITIONS else f"{dataset}-{renditions}"
        folder = downloads / name / f"builtin-v{builtin.VERSION}-{rate}"
        planned = partial(builtin.recordings, folder, renditions)
        made = partial(builtin.write_recordings, folder, rate, renditions, workers)
        return Source(name, name, (folder,), lambda: [planned()], lambda: [made()], has_splits=True)
    return _of_downloads(dataset, dataset, PIANO_LIST, downloads)


def _of_folders(paths: list[Path]) -> Source:
    """Return one folder, or several. Raise UsageError where one lies in another."""
    real = [Path(os.path.realpath(path)) for path in paths]  # which a link to itself does not stop
    for one, other in permutations(range(len(paths)), 2):
        if real[one].is_relative_to(real[other]):
            raise UsageError(f"--audio_dir: {paths[one]} is {paths[other]} or lies in it; name each folder once")
    name = real[0].name if len(real) == 1 else f"{real[0].name}+{len(real) - 1}"

    @cache  # its warnings are logged once
    def listed() -> list[Parts]:
        return [list_folder(path) for path in paths]

    def labels(recordings: Sequence[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        for path in paths:
            found |= folder_labels(path, recordings)
        return found

    return Source("\n".join(map(str, real)), name, tuple(paths), listed, listed, labels=labels)


def read_files(path: Path) -> list[Parts]:
    """Return the files of a csv with the columns `path`, relative to its own folder if not absolute, and `split`.

    Raises UserError with the line of a row that is of no use.
    """
    parts: Parts = {split: [] for split in SPLITS}
    lines: dict[Path, int] = {}
    for line, row in read_rows(path, {"path", "split"}, errors="surrogateescape"):  # names of files need not be UTF-8
        file, split, where = path.parent / row["path"], row["split"], f"{path}, line {line}"
        if not row["path"]:
            raise UserError(f"{where}: the path is missing")
        if split not in SPLITS:
            raise UserError(f"{where}: the split is {split!r}, but must be one of {', '.join(SPLITS)}")
        if not os.path.isfile(file):  # noqa: PTH113 (never raises)
            raise UserError(f"{where}: there is no file {file}")
        if (first := lines.setdefault(file.resolve(), line)) != line:
            raise UserError(f"{where}: {row['path']} is in line {first} already; a recording has one row")
        parts[split].append(file)
    if not parts["train"]:
        raise UserError(f"{path} has no audio to train on")
    return [parts]


def _listed_labels(path: Path, recordings: Sequence[str]) -> dict[str, str]:
    """Return the labels in a csv, from its column `label`. Raise UserError where it has none."""
    found: dict[str, str] = {}
    for _, row in read_rows(path, {"label"}, errors="surrogateescape"):
        found[str((path.parent / row["path"]).absolute())] = unicodedata.normalize("NFC", row["label"])
    return found


def _of_downloads(identity: str, name: str, path: Path, folder: Path) -> Source:
    """Return the recordings of a list of URLs or YouTube ids, in `folder`."""

    def listed(file_of: dict[str, Path]) -> list[Parts]:
        items = [item for item in read_list(path) if item.stem in file_of]
        splits = SPLITS if any(item.split for item in items) else ("",)
        return [{split: sorted(file_of[item.stem] for item in items if item.split == split) for split in splits}]

    def planned() -> list[Parts]:
        return listed({item.stem: folder / item.split / item.stem for item in read_list(path)})

    def fetch() -> list[Parts]:
        with lock(atomic.make_folder(folder)):
            return listed({file.stem: file for file in download.download_list(path, folder)})

    return Source(identity, name, (folder,), planned, fetch)
