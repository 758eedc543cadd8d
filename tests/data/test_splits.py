"""Which files train, validate and test."""

import subprocess
import sys
from pathlib import Path

import pytest
from recordings import touch

from sequnet_pl.data.splits import SPLITS, split_folder
from sequnet_pl.errors import UserError


def names(parts: dict[str, list[Path]], folder: Path) -> dict[str, list[str]]:
    assert tuple(parts) == SPLITS
    return {split: [path.relative_to(folder).as_posix() for path in paths] for split, paths in parts.items()}


def test_subfolders_give_the_splits(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    touch(tmp_path, "train/b.wav", "train/deep/a.mp3", "val/c.ogg", "test/d.flac", "train/readme.txt")
    expected = {"train": ["train/b.wav", "train/deep/a.mp3"], "val": ["val/c.ogg"], "test": ["test/d.flac"]}
    for in_time in (False, True):
        assert names(split_folder(tmp_path, in_time), tmp_path) == expected
    assert not caplog.records
    touch(tmp_path, "d.wav", "bonus/e.wav")
    assert names(split_folder(tmp_path), tmp_path) == expected
    assert "2 files outside train/, val/ and test/ are not used" in caplog.text


@pytest.mark.parametrize(
    ("folder", "count", "held_out"),
    [("train/", 2, 1), ("train/", 5, 1), ("train/", 40, 4), ("", 3, 1), ("", 11, 1), ("", 37, 4)],
)
def test_a_tenth_of_the_files_is_held_out_for_each_split_that_is_not_given(
    tmp_path: Path, folder: str, count: int, held_out: int
):
    names = [f"{folder}album {number % 4}/{number:02d}.wav" for number in range(count)]
    names += ["test/a.wav"] if folder else []
    touch(tmp_path, *names)
    parts = split_folder(tmp_path)
    assert len(parts["val"]) == held_out and len(parts["test"]) == (1 if folder else held_out)
    everything = [path for split in SPLITS for path in parts[split]]
    assert sorted(everything) == sorted(tmp_path / name for name in names)
    assert all(paths == sorted(paths) for paths in parts.values())


def test_a_split_outlives_a_move_an_added_file_and_another_unicode_form(tmp_path: Path):
    found = []
    for folder, name in (("one", "\u00e9tude {:02d}.wav"), ("some/where/else", "e\u0301tude {:02d}.wav")):
        touch(tmp_path / folder, *(name.format(number) for number in range(60)))
        parts = split_folder(tmp_path / folder)
        found.append({path.stem.split()[1]: split for split, paths in parts.items() for path in paths})
    assert found[0] == found[1]
    touch(tmp_path / "one", "new file.wav")
    after = {path.stem.split()[1]: split for split, paths in split_folder(tmp_path / "one").items() for path in paths}
    assert sum(after[number] != split for number, split in found[0].items()) <= 2


@pytest.mark.parametrize(
    ("folder", "count", "in_time"),
    [("", 1, False), ("", 2, False), ("", 7, True), ("train/", 1, False), ("train/", 5, True)],
)
def test_too_few_files_are_split_in_time_and_all_where_that_is_asked_for(
    tmp_path: Path, folder: str, count: int, in_time: bool
):
    files = [f"{folder}{number}.wav" for number in range(count)]
    touch(tmp_path, *files)
    expected = {"train": files, "val": files, "test": [] if folder else files}
    assert names(split_folder(tmp_path, in_time), tmp_path) == expected


@pytest.mark.parametrize(
    ("files", "folder", "message"),
    [
        ([], "nowhere", r"no folder .*nowhere"),
        (["a.wav"], "a.wav", "no folder"),
        (["a.txt", ".hidden.wav"], "", r"holds no audio files.*\.wav"),
        (["train/a.txt", "test/a.txt"], "", "holds no audio files"),
        (["test/a.wav"], "", "no audio to train on"),
    ],
)
def test_folders_that_cannot_be_split(tmp_path: Path, files: list[str], folder: str, message: str):
    touch(tmp_path, *files)
    with pytest.raises(UserError, match=message):
        split_folder(tmp_path / folder)


@pytest.mark.parametrize(
    ("folders", "expected"),
    [
        ("TRAIN tEST valid", {"train": ["TRAIN"], "val": ["valid"], "test": ["tEST"]}),
        ("train dev test", {"train": ["train"], "val": ["dev"], "test": ["test"]}),
        ("train val Valid DEV", {"train": ["train"], "val": ["DEV", "Valid", "val"]}),
        ("train Eval test", {"train": ["train"], "val": ["Eval"], "test": ["test"]}),
        ("train eval val test", {"train": ["train"], "val": ["eval", "val"], "test": ["test"]}),
        ("songs other", {}),
        ("songs", {}),
    ],
)
def test_how_splits_may_be_spelt(
    tmp_path: Path, folders: str, expected: dict[str, list[str]], caplog: pytest.LogCaptureFixture
):
    for name in folders.split():
        touch(tmp_path, *(f"{name}/{number}.wav" for number in range(4)))
    parts = split_folder(tmp_path)
    inside = {split: sorted({path.parent.name for path in paths}) for split, paths in parts.items() if paths}
    assert inside == expected if expected else len(inside) == 3
    odd = {name for name in folders.split() if name not in (*SPLITS, "songs", "other")}
    assert {name for name in odd if f"{name}/" in caplog.text} == odd, "each is logged"
    assert bool(odd) == ("is taken as" in caplog.text)


def test_folders_that_cannot_be_read(tmp_path: Path, unprivileged: list[str]):
    """One inside is among the files, so that it is reported when they are opened; the folder itself is one line."""
    folder = tmp_path / "all"
    touch(folder, "locked/a.wav", "closed/b.wav", "open/c.wav")
    code = (
        "import pathlib, sys\n"
        "from sequnet_pl.data.splits import split_folder; from sequnet_pl.errors import UserError\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "try: found = sum(split_folder(folder).values(), [])\n"
        "except UserError as error: print(error)\n"
        "else: print(*sorted(path.relative_to(folder).as_posix() for path in found))"
    )

    def printed(path: Path) -> str:
        command = [*unprivileged, sys.executable, "-c", code, str(path)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout

    try:
        (folder / "locked").chmod(0)
        (folder / "closed").chmod(0o600)  # it can be listed, and nothing in it opened
        assert printed(folder) == "closed/b.wav locked open/c.wav\n"
        for mode, path in ((0, folder / "within"), (0o300, folder)):
            folder.chmod(mode)
            assert printed(path) == f"cannot read the folder {path}: Permission denied\n"
    finally:
        for path in (folder, folder / "locked", folder / "closed"):
            path.chmod(0o700)
