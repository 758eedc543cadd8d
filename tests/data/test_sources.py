"""The files of a folder, of a list or of a named data set, and their splits."""

import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from download_server import QUICK, Page, Server
from recordings import noise, prepared, touch

from sequnet_pl.data import download, sources
from sequnet_pl.data.builtin.pieces import Piece
from sequnet_pl.data.crops import weighted_groups
from sequnet_pl.data.datamodule import AudioDataModule
from sequnet_pl.data.download.items import PIANO_LIST, read_list
from sequnet_pl.data.splits import SPLITS, Parts, split_folder
from sequnet_pl.data.stored import StoredRecordings
from sequnet_pl.errors import UserError


def chosen(data_dir: Path, **options: Any) -> sources.Source:
    return StoredRecordings(data_dir=str(data_dir), **options).source


def found(data_dir: Path, **options: Any) -> Parts:
    source = chosen(data_dir, **options)
    return source.split(source.fetch())


@pytest.mark.parametrize("option", ["audio_dir", "audio_list", "recordings"])
def test_a_link_to_itself_is_one_line(tmp_path: Path, option: str) -> None:
    (tmp_path / "round").symlink_to("round")
    with pytest.raises(UserError, match=r"cannot read the .*round: Too many levels"):
        chosen(tmp_path, **{option: str(tmp_path / "round")}).planned()


def test_piano_takes_what_came_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the built-in recordings beside them nor those of a list are taken for the piano, nor warned of."""
    monkeypatch.setattr("sequnet_pl.data.download.fetch.fetch_all", lambda *_: "the network is down")
    recordings, items = tmp_path / "recordings", read_list(PIANO_LIST)
    train, test = ([item.stem for item in items if item.split == split] for split in ("train", "test"))
    touch(recordings, *(f"train/{stem}.opus" for stem in train[:9]), f"test/{test[0]}.m4a", f".partial/{train[9]}.opus")
    touch(recordings, "builtin/train/fugue.flac", "mine-01234567/a.mp3", "train/other.mp3")
    with caplog.at_level(logging.WARNING):
        parts = found(tmp_path)
    assert not caplog.messages
    assert parts["test"] == [recordings / f"test/{test[0]}.m4a"]
    assert len(parts["val"]) == 1
    assert sorted(parts["train"] + parts["val"]) == sorted(recordings / f"train/{stem}.opus" for stem in train[:9])


def test_a_piano_of_which_nothing_is_left_names_other_recordings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of the list failed for good before, so that no server is contacted."""
    monkeypatch.setattr("sequnet_pl.data.download.fetch.fetch_all", lambda *_: pytest.fail("contacted the network"))
    touch(tmp_path, "recordings/x")
    rows = [f"{item.recording},{item.split},gone,removed,," for item in read_list(PIANO_LIST)]
    report = "\n".join(["recording,split,status,reason,file,time", *rows])
    (tmp_path / "recordings" / "report.csv").write_text(report + "\n")
    with pytest.raises(UserError, match=r"--audio_dir FOLDER.*--dataset builtin"):
        found(tmp_path)
    (tmp_path / "recordings" / "report.csv").write_text("something else\n")
    with pytest.raises(UserError, match="not a report of downloads"):
        found(tmp_path)


@pytest.mark.parametrize("has_splits", [False, True])
def test_a_list_is_downloaded_and_split(
    audio: dict[str, bytes], server: Server, tmp_path: Path, has_splits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch = download.download
    monkeypatch.setattr(download, "download", lambda items, folder: fetch(items, folder, QUICK))
    server.pages |= {f"/{number}.mp3": Page(audio["mp3"]) for number in range(4)}
    path = tmp_path / "urls.csv"
    splits = ["train", "train", "val", "test", "test"]  # there is no 4
    rows = [server.url(f"/{number}.mp3") + f",{split}" * has_splits for number, split in enumerate(splits)]
    path.write_text("\n".join(["url" + ",split" * has_splits, *rows]))
    parts = found(tmp_path / "data", recordings=str(path))
    assert {split: len(files) for split, files in parts.items()} == {"train": 2, "val": 1, "test": 1}
    (folder,) = (tmp_path / "data" / "recordings").iterdir()
    for split, files in parts.items():
        assert all(file.parent == folder / (split if has_splits else "") and file.is_file() for file in files)
    asked = len(server.requests)
    path.write_text("\n".join(["url" + ",split" * has_splits, *rows[:3]]))
    shorter = found(tmp_path / "data", recordings=str(path))
    assert len(server.requests) == asked
    assert sum(map(len, shorter.values())) == 3, "the recordings of the list, not of the folder"


def test_the_builtin_recordings_are_rendered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = (Piece(split, split, 240, 4, "c4:1 e g c5", "C", ((0,), (1, 2)), 1) for split in SPLITS)
    monkeypatch.setattr(sources.builtin, "PIECES", tuple(pieces))
    source = chosen(tmp_path, dataset="builtin", builtin_takes=1)
    assert source.roots == (tmp_path / "recordings/builtin-1/builtin-v1-16000",)
    assert all(not path.exists() for paths in source.split(source.planned()).values() for path in paths)
    assert all(path.is_file() for split in SPLITS for path in source.split(source.fetch())[split])


def test_subfolders_give_the_splits(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    touch(tmp_path, "train/b.wav", "train/deep/a.mp3", "val/c.ogg", "test/d.flac", "train/readme.txt")
    names = {"train": ["train/b.wav", "train/deep/a.mp3"], "val": ["val/c.ogg"], "test": ["test/d.flac"]}
    expected = {split: [tmp_path / name for name in names[split]] for split in SPLITS}
    for in_time in (False, True):
        assert split_folder(tmp_path, in_time) == expected
    assert not caplog.records
    touch(tmp_path, "d.wav", "bonus/e.wav")
    assert split_folder(tmp_path) == expected
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
        folder.chmod(0o300)
        assert printed(folder) == f"cannot read the folder {folder}: Permission denied\n"
    finally:
        for path in (folder, folder / "locked", folder / "closed"):
            path.chmod(0o700)


@pytest.fixture
def music(tmp_path: Path) -> Path:
    """Four files, a long one, and splits that are given."""
    seconds = {"many/1": 1, "many/2": 1, "many/3": 1, "many/4": 1, "long/a": 26, "given/train/b": 2, "given/val/c": 3}
    for number, name in enumerate(seconds):
        noise(tmp_path / "music" / f"{name}.wav", seconds[name], number)
    return tmp_path / "music"


def held(data: AudioDataModule) -> dict[str, list[tuple[str, int, int]]]:
    return {name: [(r.source, r.start, r.length) for r in split.recordings] for name, split in data.splits.items()}


def test_each_folder_is_split_by_itself(tmp_path: Path, music: Path) -> None:
    folders = [str(music / name) for name in ("many", "long", "given")]
    together = held(prepared(tmp_path, audio_dir=folders))
    alone = [held(prepared(tmp_path, audio_dir=folder)) for folder in folders]
    assert together == {name: [entry for each in alone for entry in each[name]] for name in together}
    assert [len(entries) for entries in together.values()] == [4, 3, 2]


def test_recordings_are_known_by_their_folders_however_these_are_written(
    tmp_path: Path, music: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(music)
    Path("link").symlink_to("many")
    for folders in ([str(music / "long"), str(music / "many")], ["./long", "many/"], ["long/../long", "link"]):
        split = prepared(tmp_path, audio_dir=folders).splits["train"]
        assert weighted_groups(split, folders, [3, 1]).numbers.tolist() == [0, 1, 1]
    Path("none").mkdir()
    Path("none/text.wav").write_text("not audio")
    split = prepared(tmp_path, audio_dir=["many", "none"]).splits["train"]
    with pytest.raises(UserError, match="none has nothing to train on, so it can have no sampling weight"):
        weighted_groups(split, ["many", "none"], [1, 1])
