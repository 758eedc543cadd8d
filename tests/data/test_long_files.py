"""One long file is a data set: cut in time, said in the table, scored piece by piece, and kept by what goes on."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from sequnet_pl.audio.mulaw import SILENCE
from sequnet_pl.data.datamodule import AudioDataModule
from sequnet_pl.data.stored import StoredRecordings
from sequnet_pl.errors import UsageError
from sequnet_pl.training.module import SeqUNetModule

RATE = 1000


def sound(path: Path, seconds: float, seed: int = 0, rate: int = RATE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.random.default_rng(seed).uniform(-0.5, 0.5, round(seconds * rate)), rate)
    return path


@pytest.fixture
def prepared(tmp_path: Path) -> Callable[..., AudioDataModule]:
    def prepared(**options: object) -> AudioDataModule:
        settings = {"audio_dir": str(tmp_path / "music"), "sample_rate": RATE, "num_workers": 0} | options
        data = AudioDataModule(data_dir=str(tmp_path / "data"), output_size=640, **settings)  # type: ignore[arg-type]
        data.prepare_data()
        data.setup("predict")
        return data

    return prepared


def lengths(data: AudioDataModule) -> list[list[int]]:
    return [split.lengths.tolist() for split in data.splits.values()]


def squeezed(text: str) -> str:
    """Without the lines of a table and its folds."""
    return "".join(text.replace("│", "").split())


def test_one_file_is_cut_and_the_table_says_so(tmp_path: Path, prepared, capfd: pytest.CaptureFixture[str]) -> None:
    sound(tmp_path / "music/long.wav", 106)
    data = prepared()
    assert lengths(data) == [[80_000], [10_000], [10_000]]
    said = squeezed(capfd.readouterr().err)
    assert all(squeezed(f"long.wav: {piece} s of 106.00 s") in said for piece in ("0.00 to 80.00", "96.00 to 106.00"))
    prepared()
    assert not capfd.readouterr().err


def test_two_files_are_cut_each_and_three_are_split_by_file(tmp_path: Path, prepared) -> None:
    for number in range(3):
        sound(tmp_path / f"music/{number}.wav", 26, number)
        counts = [len(split) for split in lengths(prepared())]
        assert counts == ([number + 1] * 3 if number < 2 else [1, 1, 1])
    assert [len(split) for split in lengths(prepared(split_time=True))] == [3, 3, 3]


def test_every_sample_of_a_piece_is_scored_once_with_silence_before(tmp_path: Path, prepared) -> None:
    sound(tmp_path / "music/long.wav", 26)
    data = prepared(batch_size=4)
    module = SeqUNetModule(levels=2, features=2, depth=1, kernel_size=3)
    data.trainer = SimpleNamespace(lightning_module=module, global_rank=0, world_size=1)  # type: ignore[assignment]
    for loader, name in ((data.val_dataloader(), "val"), (data.test_dataloader(), "test")):
        split, seen = data.splits[name], np.zeros(2000, int)
        for batch in loader:
            for codes, valid, start in zip(batch.codes, batch.valid.tolist(), batch.starts.tolist(), strict=True):
                seen[start : start + valid] += 1
                if start == 0:
                    assert (codes[:-640] == SILENCE).all()
                begin = int(split.offsets[0]) + start
                assert np.array_equal(codes[-640:][:valid].numpy(), split.codes[begin : begin + valid])
        assert (seen == 1).all()


def test_what_is_too_short_all_trains_and_that_is_said(
    tmp_path: Path, prepared, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    sound(tmp_path / "music/short.wav", 15)
    assert lengths(prepared()) == [[15_000], [], []]
    assert squeezed("short.wav: too short to be cut in time, all of it trains") in squeezed(capfd.readouterr().err)
    assert "music: recordings that train: 1; nothing is validated or tested" in caplog.text


def test_split_time_where_nothing_can_be_cut(tmp_path: Path) -> None:
    for name in ("train/a", "val/b", "test/c"):
        sound(tmp_path / f"music/{name}.wav", 26)
    (tmp_path / "list.csv").write_text("path,split\nmusic/train/a.wav,train\nmusic/val/b.wav,val\n")
    (tmp_path / "urls.csv").write_text("url,split\nhttp://localhost/a,train\nhttp://localhost/b,val\n")
    for source in (
        {"audio_dir": str(tmp_path / "music")},
        {"audio_list": str(tmp_path / "list.csv")},
        {"recordings": str(tmp_path / "urls.csv")},
        {"dataset": "builtin"},
    ):
        StoredRecordings(**source).check()
        with pytest.raises(UsageError, match="--split_time has nothing to cut"):
            StoredRecordings(**source, split_time=True).check()


def test_a_list_of_one_file_is_cut_too(tmp_path: Path, prepared) -> None:
    sound(tmp_path / "a.wav", 33)
    (tmp_path / "list.csv").write_text("path,split\na.wav,train\n")
    assert lengths(prepared(audio_dir=None, audio_list=str(tmp_path / "list.csv"))) == [[27_000], [3000], []]


def test_never_cutting_has_the_store_and_the_fingerprint_of_before(tmp_path: Path, prepared) -> None:
    sound(tmp_path / "music/long.wav", 26)
    before = prepared(split_time=False)
    cut, after = prepared(), prepared(split_time=False)
    assert before.store == cut.store == after.store != prepared(split_time=True).store
    assert lengths(before) == lengths(after) == [[26_000], [], []]
    assert before.fingerprint == after.fingerprint != cut.fingerprint == prepared(split_time=True).fingerprint


@pytest.mark.parametrize(
    ("had", "files", "now", "expected"),
    [
        (None, 1, None, False),  # of a version that did not cut
        (False, 1, None, False),  # there were three
        (True, 1, None, None),
        (True, 3, None, True),  # there was one
        (False, 3, None, False),
        (True, 1, False, False),  # somebody says so
        (False, 3, True, True),
    ],
)
def test_a_run_that_goes_on_keeps_the_split_it_had(
    tmp_path: Path, prepared, had: bool | None, files: int, now: bool | None, expected: bool | None
) -> None:
    for number in range(files):
        sound(tmp_path / f"music/{number}.wav", 26, number)
    data = prepared(split_time=now)
    state = {"fingerprint": "", "store": data.store.name} | ({} if had is None else {"split_time": had})
    assert data._stored.kept_split_time(state) is expected
    assert data._stored.kept_split_time(state | {"store": "another"}) is now
    assert data.state_dict()["split_time"] == (now is not False and (files == 1 or now is True))


@pytest.mark.parametrize(
    ("rates", "said"),
    [
        ([500, 500], "0.5 kHz: nothing above 0.25 kHz to learn, in 2 of 2; --sample_rate 500"),
        ([500, 2000, 2000], "0.5 kHz: nothing above 0.25 kHz to learn, in 1 of 3"),
        ([250, 500], "0.5 kHz: nothing above 0.25 kHz to learn, in 1 of 2; --sample_rate 500"),
        ([1000, 2000], ""),
    ],
)
def test_recordings_of_a_lower_rate_are_said(
    tmp_path: Path, prepared, capfd: pytest.CaptureFixture[str], rates: list[int], said: str
) -> None:
    for number, rate in enumerate(rates):
        sound(tmp_path / f"music/{number}.wav", 26, number, rate)
    prepared()
    shown = squeezed(capfd.readouterr().err)
    assert squeezed(said) in shown and ("tolearn" in shown) == bool(said)
    assert said.endswith("500") or "--sample_rate" not in shown
