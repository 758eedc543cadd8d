"""Which files are asked for: by a folder, a list, a list to download, or the name of a data set."""

import logging
import os
from pathlib import Path
from typing import Any

import pytest
from download_server import QUICK, Page, Server

from sequnet_pl.data import download, sources
from sequnet_pl.data.download.items import PIANO_LIST, read_list
from sequnet_pl.data.sources import choose
from sequnet_pl.data.splits import SPLITS, split_folder
from sequnet_pl.errors import UsageError, UserError


def chosen(data_dir: Path, **options: Any) -> sources.Source:
    defaults = {"dataset": "piano", "audio_dir": None, "audio_list": None, "recordings": None}
    return choose(data_dir, 16_000, **defaults | options)


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def listed(folder: Path, text: str) -> Path:
    (folder / "list.csv").write_text(text)
    return folder / "list.csv"


@pytest.mark.parametrize("option", ["audio_dir", "audio_list", "recordings"])
def test_a_link_to_itself_is_one_line(tmp_path: Path, option: str) -> None:
    (tmp_path / "round").symlink_to("round")
    with pytest.raises(UserError, match=r"cannot read the .*round: Too many levels"):
        chosen(tmp_path, **{option: str(tmp_path / "round")}).check()


@pytest.mark.parametrize("split", SPLITS)
def test_a_list_is_taken_at_its_word(tmp_path: Path, split: str) -> None:
    touch(tmp_path, "a/1.wav", "2, two.mp3", "3.flac", "4.ogg")
    (tmp_path / "elsewhere").mkdir()
    rows = f'split, path\n{split},a/1.wav\ntrain,"2, two.mp3"\n\nval,3.flac\ntest,{tmp_path}/4.ogg\n'
    parts = sources.from_list(listed(tmp_path, rows))
    expected = {"train": ["2, two.mp3"], "val": ["3.flac"], "test": ["4.ogg"]}
    expected[split].insert(0, "a/1.wav")
    assert parts == {name: [tmp_path / file for file in files] for name, files in expected.items()}


def test_relative_paths_start_at_the_list_not_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "music/1.wav", "lists/x")
    (tmp_path / "lists" / "list.csv").write_text("path,split\n../music/1.wav,train\n")
    monkeypatch.chdir(tmp_path)
    (file,) = sources.from_list(Path("lists/list.csv"))["train"]
    assert file.resolve() == tmp_path / "music" / "1.wav"


def test_a_list_without_val_holds_out_what_its_folder_would(tmp_path: Path) -> None:
    names = [f"train/{number:02d}.wav" for number in range(30)]
    touch(tmp_path, *names, "test/a.wav")
    path = listed(tmp_path, "path,split\n" + "".join(f"{name},train\n" for name in names) + "test/a.wav,test\n")
    assert sources.from_list(path) == split_folder(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,split\na.wav,train\nb.wav,training\n", "line 3: the split is 'training', but must be one of train, val"),
        ("path,split\na.wav\n", "line 2: the split is ''"),
        ("path,split\n,train\n", "line 2: the path is missing"),
        ("path,split\na.wav,train\n\ngone.wav,val\n", "line 4: there is no file .*gone.wav"),
        ("path,split\n.,val\n", "line 2: there is no file"),
        ("path,split\na.wav,train\nb.wav,val\n./a.wav,test\n", r"line 4: ./a.wav stands in line 2 already"),
        ("path,split\nb.wav,val\n", "list.csv has no audio to train on"),
        ("path,split\n", "list.csv has no audio to train on"),
        ("", "has no column path and split"),
        ("file,split\na.wav,train\n", "has no column path;"),
    ],
)
def test_lists_that_are_of_no_use(tmp_path: Path, text: str, message: str) -> None:
    touch(tmp_path, "a.wav", "b.wav")
    with pytest.raises(UserError, match=message) as caught:
        sources.from_list(listed(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_lists_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot read the list .*gone\.csv"):
        sources.from_list(tmp_path / "gone.csv")
    (tmp_path / "bad.csv").write_bytes(b"path,split\n\xff.wav,train\n")
    with pytest.raises(UserError, match="line 2: there is no file"):
        sources.from_list(tmp_path / "bad.csv")
    touch(tmp_path, os.fsdecode(b"\xff.wav"))
    assert [os.fsencode(path.name) for path in sources.from_list(tmp_path / "bad.csv")["train"]] == [b"\xff.wav"]


@pytest.mark.parametrize(
    "pair", [("audio_dir", "audio_list"), ("audio_list", "recordings"), ("audio_dir", "recordings")]
)
def test_two_at_a_time_are_one_too_many(tmp_path: Path, pair: tuple[str, str]) -> None:
    with pytest.raises(UsageError, match=f"--{pair[0]} x and --{pair[1]} x"):
        chosen(tmp_path, **dict.fromkeys(pair, "x"))


@pytest.mark.parametrize(
    "options",
    [{}, {"audio_dir": "x"}, {"dataset": "builtin", "audio_list": "x"}, {"dataset": "builtin", "recordings": "x"}],
)
def test_takes_of_other_recordings_there_are_none(tmp_path: Path, options: dict) -> None:
    other = next((f"--{name} x" for name, value in options.items() if value == "x"), "--dataset piano")
    with pytest.raises(UsageError, match=f"--builtin_takes 40 goes with --dataset builtin, not with {other}"):
        chosen(tmp_path, **options, builtin_takes=40)


def test_two_takes_are_the_ones_of_nobody_who_asks(tmp_path: Path) -> None:
    plain, two, forty = (chosen(tmp_path, dataset="builtin", builtin_takes=takes) for takes in (None, 2, 40))
    assert (plain.identity, plain.name) == (two.identity, two.name) == ("builtin", "builtin")
    assert (forty.identity, forty.name) == ("builtin-40", "builtin-40")


def test_sources_are_told_apart(tmp_path: Path) -> None:
    touch(tmp_path, "a/x.csv", "b/x.csv")
    options = [{"dataset": "builtin"}, {"dataset": "builtin", "builtin_takes": 3}, {"dataset": "piano"}]
    options += [{kind: f"{tmp_path}/{folder}/x.csv"} for kind in ("audio_list", "recordings") for folder in "ab"]
    options += [{"audio_dir": str(tmp_path / folder)} for folder in "ab"]
    assert len({chosen(tmp_path, **given).identity for given in options}) == len(options)
    assert (
        chosen(tmp_path, audio_dir=f"{tmp_path}/a/../b").identity
        == chosen(tmp_path, audio_dir=f"{tmp_path}/b").identity
    )


def test_piano_takes_what_came_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the built-in recordings beside them nor those of a list are taken for the piano, nor warned of."""

    def download_piano(folder: Path) -> None:
        touch(folder, *(f"train/{number}.opus" for number in range(9)), "test/x.m4a", "report.csv", ".partial/y.opus")

    monkeypatch.setattr(download, "download_piano", download_piano)
    recordings = tmp_path / "recordings"
    touch(recordings, "builtin/train/fugue.flac", "mine-01234567/a.mp3")
    with caplog.at_level(logging.WARNING):
        parts = chosen(tmp_path).find()
    assert not caplog.messages
    assert parts["test"] == [recordings / "test/x.m4a"]
    assert len(parts["val"]) == 1
    assert sorted(parts["train"] + parts["val"]) == [recordings / f"train/{number}.opus" for number in range(9)]


def test_a_piano_that_did_not_come_says_so_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of the list failed for good before, so that nobody is asked."""
    monkeypatch.setattr("sequnet_pl.data.download.fetch.fetch_all", lambda *_: pytest.fail("asked the network"))
    touch(tmp_path, "recordings/x")
    rows = [f"{item.recording},{item.split},gone,removed,," for item in read_list(PIANO_LIST)]
    report = "\n".join(["recording,split,status,reason,file,time", *rows])
    (tmp_path / "recordings" / "report.csv").write_text(report + "\n")
    with pytest.raises(UserError, match=r"--audio_dir FOLDER.*--dataset builtin"):
        chosen(tmp_path).find()


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Downloads without the polite pauses."""
    fetch = download.download
    monkeypatch.setattr(download, "download", lambda items, folder: fetch(items, folder, QUICK))


@pytest.mark.usefixtures("at_once")
def test_a_list_is_downloaded_and_split(audio: dict[str, bytes], server: Server, tmp_path: Path) -> None:
    server.pages |= {f"/{number}.mp3": Page(audio["mp3"]) for number in range(4)}
    path = tmp_path / "urls.txt"
    path.write_text("\n".join(server.url(f"/{number}.mp3") for number in [*range(4), 9]))  # there is no 9
    source = chosen(tmp_path / "data", recordings=str(path))
    parts = source.find()
    assert {split: len(files) for split, files in parts.items()} == {"train": 2, "val": 1, "test": 1}
    (folder,) = (tmp_path / "data" / "recordings").iterdir()
    assert all(file.parent == folder and file.is_file() for files in parts.values() for file in files)
    asked = len(server.requests)
    path.write_text("\n".join(server.url(f"/{number}.mp3") for number in range(3)))
    shorter = source.find()
    assert len(server.requests) == asked
    assert sum(map(len, shorter.values())) == 3  # what the list says, not what the folder holds


@pytest.mark.usefixtures("at_once")
def test_a_downloaded_list_may_say_its_splits(audio: dict[str, bytes], server: Server, tmp_path: Path) -> None:
    server.pages |= {f"/{number}.mp3": Page(audio["mp3"]) for number in range(4)}
    rows = [f"{server.url(f'/{number}.mp3')},{split}" for number, split in enumerate(["train", "train", "val", "test"])]
    path = listed(tmp_path, "\n".join(["url,split", *rows]))
    parts = chosen(tmp_path / "data", recordings=str(path)).find()
    assert {split: len(files) for split, files in parts.items()} == {"train": 2, "val": 1, "test": 1}
    assert all(file.parent.name == split for split, files in parts.items() for file in files)


@pytest.mark.usefixtures("at_once")
def test_a_list_of_which_nothing_comes(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "urls.txt"
    path.write_text(server.url("/gone.mp3"))
    with pytest.raises(UserError, match=r"none of the 1 recordings of .*urls\.txt could be downloaded .*report\.csv"):
        chosen(tmp_path / "data", recordings=str(path)).find()
