"""Making a store, reading it, keeping it up to date and showing it: only files that changed are decoded."""

import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from recordings import assert_holds, make, noise_16k, on_disk

from sequnet_pl.cli.main import exit_main
from sequnet_pl.data.store import __main__ as command
from sequnet_pl.data.store import fingerprint, open_split
from sequnet_pl.data.store.index import opened_index
from sequnet_pl.errors import UserError

Captured = pytest.CaptureFixture[str]


def test_stored_codes_are_those_of_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    train = [
        noise_16k(tmp_path / "music/b.wav", 0.3, 1, rate=48_000, channels=2),
        noise_16k(tmp_path / "music/a.flac", 0.1, 2, rate=8_000),
        noise_16k(tmp_path / "music/c.mp3", 1.0, 3, rate=44_100, channels=2),
    ]
    val = [noise_16k(tmp_path / "music/d.ogg", 0.5, 4, rate=22_050)]
    linked = Path("linked.flac")
    linked.symlink_to(train[1])
    report = make(Path("store"), [*train, linked], val)
    assert (report.made, report.skipped) == (5, ())
    assert {split: len(found) for split, found in report.recordings.items()} == {"train": 4, "val": 1, "test": 0}
    assert_holds(tmp_path / "store", "train", [*train, linked.absolute()])
    assert_holds(tmp_path / "store", "val", val)
    assert on_disk(tmp_path / "store") == ["codes.u8"]
    for split in ("test", "unknown"):
        empty = open_split(tmp_path / "store", split)
        assert (empty.recordings, len(empty.codes), len(empty.offsets)) == ((), 0, 0)


def test_codes_are_read_only_travel_to_other_processes_and_stay_while_the_store_changes(
    tmp_path: Path, five: list[Path]
):
    make(tmp_path / "store", five)
    opened, late = open_split(tmp_path / "store", "train"), open_split(tmp_path / "store", "train")
    assert isinstance(opened.codes, np.memmap) and opened.codes.dtype == np.uint8
    with pytest.raises(ValueError, match="read-only"):
        opened.codes[0] = 0
    sent, codes = pickle.dumps(opened), np.array(opened.codes)
    assert len(sent) < 5000
    make(tmp_path / "store", [*five[3:], noise_16k(tmp_path / "music/new.wav", 0.3, 9)])
    for reader in (opened, late, pickle.loads(sent)):  # noqa: S301
        assert np.array_equal(reader.codes, codes)
    assert opened_index(tmp_path / "store").unused == opened.lengths[:3].sum()


def test_the_fingerprint_is_of_order_split_and_options_and_not_of_the_processes(tmp_path: Path, five: list[Path]):
    make(tmp_path / "three", five, workers=3, progress=True)
    assert_holds(tmp_path / "three", "train", five)
    make(tmp_path / "reversed", five[::-1])
    make(tmp_path / "split", five[:4], five[4:])
    prints = [fingerprint(tmp_path / name) for name in ("three", "reversed", "split")]
    changes: list[dict[str, Any]] = [{}, {"channel": "left"}, {"skip_silence": 1.0}, {"loudness": -20.0}]
    for options in [*changes, {"rate": 8_000}]:
        assert make(tmp_path / "store", five, **options).made == 5, "other options decode all files again"
        prints.append(fingerprint(tmp_path / "store"))
        assert on_disk(tmp_path / "store") == ["codes.u8"]
    assert prints[3] == prints[0] and len(set(prints)) == 7
    assert_holds(tmp_path / "store", "train", five, rate=8_000)


def test_only_what_changed_is_decoded(tmp_path: Path, five: list[Path]):
    """Unchanged, added, replaced at the same size, touched, moved, in another split, and removed."""
    store = tmp_path / "store"
    make(store, five)
    old = fingerprint(store)
    assert make(store, five).made == 0
    more = [noise_16k(tmp_path / "music/00.wav", 0.3, 9), *five, noise_16k(tmp_path / "music/zz.wav", 0.3, 10)]
    assert make(store, more).made == 2
    assert_holds(store, "train", more)
    os.utime(five[0], ns=(1, 1))
    five[4] = five[4].rename(tmp_path / "music/renamed.wav")
    assert make(store, five).made == 2
    assert_holds(store, "train", five)
    assert fingerprint(store) == old
    size = five[2].stat().st_size
    noise_16k(five[2], 0.26, seed=77)
    os.utime(five[2], ns=(1, 1))
    assert five[2].stat().st_size == size and make(store, five).made == 1
    assert fingerprint(store) != old
    assert make(store, five[:3], five[3:]).made == 0
    assert_holds(store, "train", five[:3])
    assert_holds(store, "val", five[3:])
    five[1].unlink()
    report = make(store, five)
    assert [(s.source, s.reason) for s in report.skipped] == [(str(five[1]), "No such file or directory")]
    assert_holds(store, "train", [five[0], *five[2:]])


@pytest.fixture
def shown(tmp_path: Path) -> Path:
    """A store of two recordings, one of which clips, and of a file that was skipped."""
    plain, odd, text = noise_16k(tmp_path / "a.wav"), tmp_path / "odd [red] name.wav", tmp_path / "text.wav"
    sf.write(odd, np.array([0.0, 1.5, -2.0, 0.25] * 400), 16_000, subtype="FLOAT")
    text.write_text("words")
    make(tmp_path / "store", [plain, odd, text])
    return tmp_path / "store"


def test_info_and_list(shown: Path, capsys: Captured):
    assert command.main(["info", str(shown)]) == 0
    printed = capsys.readouterr().out
    assert "rate 16000, channel mix" in printed and "0.0 MB on disk, 0.0 MB of them unused" in printed
    assert f"fingerprint {fingerprint(shown)}, skipped files 1" in printed
    assert command.main(["list", str(shown)]) == 0
    lines = capsys.readouterr().out.splitlines()
    (row,) = [line.split() for line in lines if "odd [red] name.wav" in line]
    assert row[:5] == ["train", "0.10", "2.000", "50.00%", "25.00%"], "seconds, peak, clipped, silent"
    (skipped,) = [line for line in lines if "text.wav" in line]
    assert "not audio" in skipped


def test_list_without_a_folder_lists_the_stores(tmp_path: Path, shown: Path, capsys: Captured):
    with pytest.raises(UserError, match="there are no stores in"):
        command.main(["list", "--data_dir", str(tmp_path / "nowhere")])
    for name in ("one", "two"):
        shutil.copytree(shown, tmp_path / "data/codes" / name)
    (tmp_path / "data/codes/none").mkdir()
    (tmp_path / "data/codes/two/index.json").write_text("{")
    assert command.main(["list", "--data_dir", str(tmp_path / "data")]) == 0
    *_, one, two = capsys.readouterr().out.splitlines()
    assert "codes/one" in one and "16000 Hz" in one and "codes/two" in two and "damaged" in two


def test_verify(shown: Path, capsys: Captured):
    assert command.main(["verify", str(shown)]) == 0
    assert "all 2 recordings are whole" in capsys.readouterr().out
    (shown.parent / "odd [red] name.wav").unlink()
    noise_16k(shown.parent / "a.wav", 0.1)
    assert command.main(["verify", str(shown)]) == 0
    assert capsys.readouterr().out.count("the audio file has changed or is gone") == 2
    codes = np.memmap(shown / "codes.u8", np.uint8, "r+")
    codes[10] ^= 1
    codes.flush()
    assert command.main(["verify", str(shown)]) == 1
    assert "1 of 2 recordings are damaged" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [("info {}/nowhere", 1, "no store in"), ("inform {}", 2, "invalid choice"), ("info", 2, "needs the folder")],
)
def test_mistakes_are_one_line(tmp_path: Path, words: str, status: int, message: str, capsys: Captured):
    with pytest.raises(SystemExit) as ended:
        exit_main("store", command.main, words.format(tmp_path).split())
    assert ended.value.code == status and message in capsys.readouterr().err.splitlines()[-1]
