"""`python -m sequnet_pl.data.store`."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from sequnet_pl.cli.main import exit_main
from sequnet_pl.data import store
from sequnet_pl.data.store import __main__ as command
from sequnet_pl.errors import UserError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store of three recordings, and a file that was skipped."""
    (tmp_path / "music").mkdir()
    files = []
    for name in ("a.wav", "odd [red] name.wav"):
        files.append(tmp_path / "music" / name)
        sf.write(files[-1], np.append(np.full(1600, 0.25), np.zeros(1600)) * (1 + len(files)) / 4, 16_000)
    (tmp_path / "music/text.wav").write_text("words")
    files.append(tmp_path / "music/text.wav")
    test = [Path(shutil.copy(files[0], tmp_path / "music/test.wav"))]
    store.make_store({"train": files, "val": [], "test": test}, tmp_path / "store", workers=1, progress=False)
    return tmp_path / "store"


def test_info_and_list(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert command.main(["info", str(folder)]) == 0
    printed = capsys.readouterr().out
    assert "rate 16000, channel mix" in printed and "0.0 MB on disk, 0.0 MB of them unused" in printed
    assert f"fingerprint {store.fingerprint(folder)}, skipped files 1" in printed
    assert command.main(["list", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    (row,) = [line for line in lines if "odd [red] name.wav" in line]
    assert "0.20" in row and "train" in row and "50.00%" in row, "half of it is silence"
    (skipped,) = [line for line in lines if "text.wav" in line]
    assert "not audio" in skipped


def test_list_without_a_folder_lists_the_stores(tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(UserError, match="there are no stores in"):
        command.main(["list", "--data_dir", str(tmp_path / "nowhere")])
    for name in ("one-0123", "two-4567"):
        shutil.copytree(folder, tmp_path / "data" / "codes" / name)
    (tmp_path / "data" / "codes" / "none").mkdir()
    (tmp_path / "data" / "codes" / "two-4567" / "index.json").write_text("{")
    assert command.main(["list", "--data_dir", str(tmp_path / "data")]) == 0
    lines = capsys.readouterr().out.splitlines()
    (one,) = [line for line in lines if "one-0123" in line]
    (two,) = [line for line in lines if "two-4567 " in line]
    assert "16000 Hz" in one and "damaged" in two
    assert not [line for line in lines if "/none" in line]


def test_verify(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert command.main(["verify", str(folder)]) == 0
    assert "all 3 recordings are whole" in capsys.readouterr().out
    (folder.parent / "music/odd [red] name.wav").unlink()
    sf.write(folder.parent / "music/a.wav", np.ones(10), 16_000)
    assert command.main(["verify", str(folder)]) == 0
    printed = capsys.readouterr().out
    assert printed.count("the audio file has changed or is gone") == 2 and "odd [red] name.wav" in printed
    path = store.open_split(folder, "train").path
    codes = np.fromfile(path, np.uint8)
    codes[10] ^= 1
    codes.tofile(path)
    assert command.main(["verify", str(folder)]) == 1
    printed = capsys.readouterr().out
    assert "1 of 3 recordings are damaged" in printed and "Traceback" not in printed


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [("info {}/nowhere", 1, "no store in"), ("inform {}", 2, "invalid choice"), ("info", 2, "needs the folder")],
)
def test_mistakes_are_one_line(tmp_path: Path, words: str, status: int, message: str, capsys):
    with pytest.raises(SystemExit) as ended:
        exit_main("store", command.main, words.format(tmp_path).split())
    assert ended.value.code == status and message in capsys.readouterr().err.splitlines()[-1]


def test_codes_that_are_gone(folder: Path):
    store.open_split(folder, "train").path.unlink()
    with pytest.raises(UserError, match="gone or too short"):
        command.main(["verify", str(folder)])
