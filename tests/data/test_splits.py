"""Which files train, validate and test."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sequnet_pl.data.splits import SPLITS, split_folder, split_folders
from sequnet_pl.errors import UsageError, UserError


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def names(parts: dict[str, list[Path]], folder: Path) -> dict[str, list[str]]:
    assert tuple(parts) == SPLITS
    return {split: [path.relative_to(folder).as_posix() for path in paths] for split, paths in parts.items()}


def test_subfolders_are_taken_at_their_word(tmp_path: Path):
    touch(tmp_path, "train/b.wav", "train/deep/a.mp3", "val/c.ogg", "test/d.flac", "train/readme.txt")
    assert names(split_folder(tmp_path), tmp_path) == {
        "train": ["train/b.wav", "train/deep/a.mp3"],
        "val": ["val/c.ogg"],
        "test": ["test/d.flac"],
    }


@pytest.mark.parametrize(("count", "held_out"), [(2, 1), (5, 1), (40, 4)])
def test_without_val_a_seeded_tenth_of_train_is_held_out(tmp_path: Path, count: int, held_out: int):
    touch(tmp_path, *(f"train/{i:02d}.wav" for i in range(count)), "test/a.wav")
    parts = split_folder(tmp_path)
    assert len(parts["val"]) == held_out
    assert sorted(parts["train"] + parts["val"]) == sorted((tmp_path / "train").iterdir())
    assert parts["test"] == [tmp_path / "test/a.wav"]
    assert split_folder(tmp_path) == parts
    if count == 40:
        assert split_folder(tmp_path, seed=1)["val"] != parts["val"]


@pytest.mark.parametrize("count", [3, 4, 10, 11, 37])
def test_a_folder_of_files_is_split_by_file(tmp_path: Path, count: int):
    touch(tmp_path, *(f"album {i % 4}/{i:02d}.wav" for i in range(count)))
    parts = split_folder(tmp_path)
    assert len(parts["val"]) == len(parts["test"]) == max(1, round(count / 10))
    everything = [path for split in SPLITS for path in parts[split]]
    assert len(everything) == len(set(everything)) == count
    assert all(paths == sorted(paths) for paths in parts.values())


@pytest.mark.parametrize("shares", [(0.49, 0.49), (0.0, 0.9), (0.9, 0.0), (0.6, 0.3)])
def test_something_always_trains(tmp_path: Path, shares: tuple[float, float]):
    touch(tmp_path, "a.wav", "b.wav", "c.wav")
    parts = split_folder(tmp_path, 0, *shares)
    assert parts["train"]
    assert [bool(parts["val"]), bool(parts["test"])] == [share > 0 for share in shares]


def test_a_split_outlives_a_move_and_a_rename_of_the_folder(tmp_path: Path):
    files = [f"{i:03d}.wav" for i in range(60)]
    one, two = touch(tmp_path / "one", *files), touch(tmp_path / "some/where/else", *files)
    assert names(split_folder(one), one) == names(split_folder(two), two)
    assert names(split_folder(one, seed=5), one) != names(split_folder(one), one)


def test_an_added_file_moves_few(tmp_path: Path):
    touch(tmp_path, *(f"{i:03d}.wav" for i in range(60)))
    before = {path: split for split, paths in split_folder(tmp_path).items() for path in paths}
    touch(tmp_path, "new.wav")
    after = {path: split for split, paths in split_folder(tmp_path).items() for path in paths}
    assert sum(after[path] != split for path, split in before.items()) <= 2


def test_an_accent_written_in_two_ways_is_one_name(tmp_path: Path):
    composed, decomposed = "\u00e9tude {}.wav", "e\u0301tude {}.wav"
    one = touch(tmp_path / "one", *(composed.format(i) for i in range(30)))
    two = touch(tmp_path / "two", *(decomposed.format(i) for i in range(30)))
    numbers = [{s: sorted(p.stem.split()[1] for p in ps) for s, ps in split_folder(f).items()} for f in (one, two)]
    assert numbers[0] == numbers[1]


@pytest.mark.parametrize(("count", "in_time"), [(1, False), (2, False), (1, True), (7, True)])
def test_fewer_than_three_are_cut_in_time_and_all_where_that_is_asked_for(tmp_path: Path, count: int, in_time: bool):
    files = [f"{i}.wav" for i in range(count)]
    touch(tmp_path, *files)
    assert names(split_folder(tmp_path, in_time=in_time), tmp_path) == dict.fromkeys(SPLITS, files)


@pytest.mark.parametrize(("count", "in_time"), [(1, False), (1, True), (5, True)])
def test_without_val_a_single_file_of_train_is_cut_in_time(tmp_path: Path, count: int, in_time: bool):
    files = [f"train/{i}.wav" for i in range(count)]
    touch(tmp_path, *files)
    assert names(split_folder(tmp_path, in_time=in_time), tmp_path) == {"train": files, "val": files, "test": []}


def test_what_is_given_is_not_cut(tmp_path: Path):
    touch(tmp_path, "train/a.wav", "val/b.wav", "test/c.wav")
    assert split_folder(tmp_path, in_time=True) == split_folder(tmp_path)
    assert all(len(paths) == 1 for paths in split_folder(tmp_path).values())


def test_files_beside_the_subfolders_are_said_to_be_unused(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    touch(tmp_path, "train/a.wav", "val/b.wav", "test/c.wav", "d.wav", "bonus/e.wav")
    assert sum(map(len, split_folder(tmp_path).values())) == 3
    assert "2 files outside train/, val/ and test/ are not used" in caplog.text


def test_folders_that_cannot_be_split(tmp_path: Path):
    with pytest.raises(UserError, match=r"no folder .*nowhere"):
        split_folder(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="is empty"):
        split_folder(tmp_path / "empty")
    with pytest.raises(UserError, match=r"holds no audio files.*\.wav"):
        split_folder(touch(tmp_path / "words", "a.txt", ".hidden.wav"))
    with pytest.raises(UserError, match="holds no audio files"):
        split_folder(touch(tmp_path / "bare", "train/a.txt", "test/a.txt"))
    with pytest.raises(UserError, match="no audio to train on"):
        split_folder(touch(tmp_path / "half", "test/a.wav"))
    with pytest.raises(UserError, match="no folder"):
        split_folder(touch(tmp_path / "file", "a.wav") / "a.wav")
    for shares in ((0.5, 0.5), (-0.1, 0.1)):
        with pytest.raises(UsageError):
            split_folder(tmp_path, 0, *shares)


@pytest.mark.parametrize(
    ("folders", "expected"),
    [
        ("Train Test", {"train": ["Train"], "test": ["Test"]}),
        ("TRAIN tEST valid", {"train": ["TRAIN"], "val": ["valid"], "test": ["tEST"]}),
        ("train validation", {"train": ["train"], "val": ["validation"]}),
        ("train dev test", {"train": ["train"], "val": ["dev"], "test": ["test"]}),
        ("train Train", {"train": ["Train", "train"]}),
        ("train val Valid DEV", {"train": ["train"], "val": ["DEV", "Valid", "val"]}),
        ("train eval", {"train": ["train"], "val": ["eval"]}),
        ("train Eval test", {"train": ["train"], "val": ["Eval"], "test": ["test"]}),
        ("train eval dev", {"train": ["train"], "val": ["dev"], "test": ["eval"]}),
        ("train eval val test", {"train": ["train"], "val": ["eval", "val"], "test": ["test"]}),
        ("train songs", {"train": ["train"]}),
        ("train training testing", {"train": ["train"]}),
        ("Test songs", {}),
        ("dev valid eval", {}),
        ("songs", {}),
    ],
)
def test_how_splits_may_be_spelt(
    tmp_path: Path, folders: str, expected: dict[str, list[str]], caplog: pytest.LogCaptureFixture
):
    for name in folders.split():
        touch(tmp_path, *(f"{name}/{number}.wav" for number in range(4)))
    places = split_folders(tmp_path)
    assert {split: sorted(place.name for place in found) for split, found in places.items() if found} == expected
    odd = {name for name in folders.split() if name not in (*SPLITS, "songs")}
    assert {name for name in odd if f"{name}/" in caplog.text} == odd, "all of it is said"
    assert bool(odd) == bool(caplog.records)
    parts = split_folder(tmp_path)
    if expected:
        inside = {name: split for split, names in expected.items() for name in names}
        held_out = "train" if "val" not in expected else "val"
        for split, paths in parts.items():
            assert {inside[path.parent.name] for path in paths} <= {split, held_out if split == "val" else split}
        assert sum(map(len, parts.values())) == 4 * len(inside)


def test_a_link_to_the_same_split_is_not_read_twice(tmp_path: Path):
    touch(tmp_path, "train/a.wav", "val/b.wav")
    (tmp_path / "Val").symlink_to("val", target_is_directory=True)
    assert len(split_folder(tmp_path)["val"]) == 1


def test_what_cannot_be_read_is_handed_on_and_decides_no_split(tmp_path: Path):
    touch(tmp_path, *(f"{number}.wav" for number in range(12)))
    before = split_folder(tmp_path)
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "broken.flac").symlink_to("gone.flac")
    after = split_folder(tmp_path)
    assert after["train"][-2:] == [tmp_path / "broken.flac", tmp_path / "pipe.wav"]
    assert after | {"train": after["train"][:-2]} == before


def test_a_link_that_cannot_be_followed_is_named_and_the_rest_used(tmp_path: Path):
    touch(tmp_path, *(f"{number}.wav" for number in range(12)))
    before = split_folder(tmp_path)
    (tmp_path / "self.wav").symlink_to("self.wav")
    (tmp_path / "self").symlink_to("self")
    after = split_folder(tmp_path)
    assert after["train"][-2:] == [tmp_path / "self", tmp_path / "self.wav"]
    assert after | {"train": after["train"][:-2]} == before


def test_splits_whose_links_cannot_be_followed_are_still_splits(tmp_path: Path):
    touch(tmp_path, "train/a.wav", "train/b.wav", "c.wav")
    (tmp_path / "val").symlink_to("val")
    (tmp_path / "valid").symlink_to("a" * 300)
    parts = split_folder(tmp_path, val_share=0)
    assert names(parts, tmp_path) == {"train": ["train/a.wav", "train/b.wav", "val", "valid"], "val": [], "test": []}


def test_a_link_into_a_folder_one_may_not_enter_is_named(tmp_path: Path, unprivileged: list[str]):
    touch(tmp_path, "locked/in/a.wav", "music/b.wav", "music/c.wav")
    (tmp_path / "music/linked").symlink_to(tmp_path / "locked/in", target_is_directory=True)
    (tmp_path / "locked").chmod(0o0)
    code = "import pathlib, sys; from sequnet_pl.data.splits import split_folder as split\n"
    code += "print(*(path.name for path in split(pathlib.Path(sys.argv[1]))['train']))"
    command = [*unprivileged, sys.executable, "-c", code, str(tmp_path / "music")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    (tmp_path / "locked").chmod(0o700)
    assert done.stdout == "b.wav c.wav linked\n", done.stderr


def test_a_folder_that_cannot_be_read_is_one_line(tmp_path: Path, unprivileged: list[str]):
    touch(tmp_path / "all", "a.wav")
    code = (
        "import pathlib, sys\n"
        "from sequnet_pl.data.splits import split_folder; from sequnet_pl.errors import UserError\n"
        "try: split_folder(pathlib.Path(sys.argv[1]))\n"
        "except UserError as error: print(error)"
    )
    for mode, path in ((0o0, "all"), (0o0, "all/within"), (0o300, "all")):
        (tmp_path / "all").chmod(mode)
        command = [*unprivileged, sys.executable, "-c", code, str(tmp_path / path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        (tmp_path / "all").chmod(0o700)
        assert done.stdout == f"cannot read the folder {tmp_path / path}: Permission denied\n", done.stderr
