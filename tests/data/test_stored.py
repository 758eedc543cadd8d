"""From the options to a store: splits, the table of its content, and what checkpoints keep and compare."""

import math
import shutil
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
from recordings import lengths, noise, prepared, squeezed, touch

from sequnet_pl.data.datamodule import AudioDataModule
from sequnet_pl.data.stored import StoredRecordings
from sequnet_pl.errors import UsageError
from sequnet_pl.training.module import SeqUNetModule


def stored(folder: Path) -> StoredRecordings:
    options: dict[str, Any] = {"sample_rate": 1000, "store_workers": 1}
    return StoredRecordings(audio_dir=str(folder), data_dir=str(folder.parent / "data"), **options)


def splits_of(data: StoredRecordings) -> dict[str, str]:
    """Make the store; return the split of each recording."""
    made = data.make().recordings
    return {Path(recording.source).name: split for split, found in made.items() for recording in found}


def test_one_or_two_files_are_split_in_time_and_three_by_file(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    options = {"audio_dir": str(tmp_path / "music")}
    for number in range(3):
        noise(tmp_path / f"music/{number}.wav", 26, number)
        counts = [len(split) for split in lengths(prepared(tmp_path, **options))]
        assert counts == ([number + 1] * 3 if number < 2 else [1, 1, 1])
    assert "train10.0041val10.0011test10.0011" in squeezed(capfd.readouterr().err), "each segment has a note"
    assert [len(split) for split in lengths(prepared(tmp_path, **options, split_time=True))] == [3, 3, 3]
    (tmp_path / "list.csv").write_text("path,split\nmusic/0.wav,train\n")
    assert lengths(prepared(tmp_path, audio_list=str(tmp_path / "list.csv"))) == [[20_700], [2300], []]
    noise(tmp_path / "short/short.wav", 15)
    assert lengths(prepared(tmp_path, audio_dir=str(tmp_path / "short"))) == [[15_000], [], []]
    assert "short: no recordings for val and test" in caplog.text


@pytest.mark.parametrize("kind", ["audio_dir", "audio_list", "recordings", "dataset"])
def test_split_time_where_nothing_can_be_split(tmp_path: Path, kind: str) -> None:
    touch(tmp_path, "music/train/a.wav", "music/val/b.wav", "music/test/c.wav")
    (tmp_path / "list.csv").write_text("path,split\nmusic/train/a.wav,train\nmusic/val/b.wav,val\n")
    (tmp_path / "urls.csv").write_text("url,split\nhttp://localhost/a,train\nhttp://localhost/b,val\n")
    names = {"audio_dir": "music", "audio_list": "list.csv", "recordings": "urls.csv"}
    source: dict[str, Any] = {kind: str(tmp_path / names[kind]) if kind in names else "builtin"}
    StoredRecordings(**source).check()
    with pytest.raises(UsageError, match="--split_time has nothing to split"):
        StoredRecordings(**source, split_time=True).check()


def test_without_temporal_splits_the_store_is_that_of_the_default(tmp_path: Path) -> None:
    noise(tmp_path / "music/long.wav", 26)
    options = [{"split_time": False}, {}, {"split_time": False}, {"split_time": True}]
    before, default, after, always = (prepared(tmp_path, audio_dir=str(tmp_path / "music"), **o) for o in options)
    assert before.store == default.store == after.store != always.store
    assert lengths(before) == lengths(after) == [[26_000], [], []]
    assert before.fingerprint == after.fingerprint != default.fingerprint == always.fingerprint


@pytest.mark.parametrize(
    ("had", "files", "now", "expected"),
    [
        (False, 1, None, False),  # there were three
        (True, 1, None, None),
        (True, 3, None, True),  # there was one
        (True, 1, False, False),  # a flag
        (False, 3, True, True),
    ],
)
def test_a_resumed_run_keeps_its_split(
    tmp_path: Path, had: bool, files: int, now: bool | None, expected: bool | None
) -> None:
    for number in range(files):
        noise(tmp_path / f"music/{number}.wav", 26, number)
    data = prepared(tmp_path, audio_dir=str(tmp_path / "music"), split_time=now)
    state = {"fingerprint": "", "store": data.store.name, "split_time": had}
    assert StoredRecordings.of(data.hparams).kept_split_time(state) is expected
    assert StoredRecordings.of(data.hparams).kept_split_time(state | {"store": "another"}) is now
    assert data.state_dict()["split_time"] == (now is not False and (files == 1 or now is True))


def test_lower_source_sample_rates_are_in_the_table(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for number, rate in enumerate((250, 500, 500, 2000)):
        noise(tmp_path / f"music/{number}.wav", 26, number, rate)
    prepared(tmp_path, audio_dir=str(tmp_path / "music"))
    printed = squeezed(capfd.readouterr().err)
    assert squeezed("0.25 kHz: nothing above 0.125 kHz to learn, in 1 of 4") in printed
    assert squeezed("0.5 kHz: nothing above 0.25 kHz to learn, in 2 of 4") in printed
    assert printed.count("tolearn") == 2


@pytest.mark.parametrize("bad", range(3))
def test_fewer_than_three_files_that_decode_are_split_in_time(bad: int, tmp_path: Path) -> None:
    for number in range(3):
        noise(tmp_path / f"music/{number}.wav", 18, number)
    (tmp_path / f"music/{bad}.wav").write_bytes(b"no audio at all " * 20)
    data = stored(tmp_path / "music")
    report = data.make()
    assert {split: len(found) for split, found in report.recordings.items()} == {"train": 2, "val": 2, "test": 2}
    assert [Path(entry.source).name for entry in report.skipped] == [f"{bad}.wav"]
    again = data.make()
    assert (again.recordings, again.made) == (report.recordings, 0)


@pytest.mark.parametrize("folders", ["a", "ab"])
def test_added_files_train_where_a_run_is_resumed(tmp_path: Path, folders: str) -> None:
    def add(numbers: range) -> None:
        for number in numbers:
            noise(tmp_path / folders[number % len(folders)] / f"{number:02}.wav", 0.2, number)

    add(range(12))
    data = replace(stored(tmp_path / "a"), audio_dir=[str(tmp_path / folder) for folder in folders])
    before, names = splits_of(data), data.names()
    assert len(folders) == 1 or {name[:2] for split in names.values() for name in split} == {"0/", "1/"}
    add(range(12, 18))
    added = {f"{number:02}.wav": "train" for number in range(12, 18)}
    state = {"store": data.folder.name, "held_out": names}
    assert splits_of(replace(data, held_out=data.kept_names(state))) == before | added
    assert data.kept_names({"store": "another", "held_out": names}) is None
    assert data.kept_names({"store": data.folder.name}) is None, "a checkpoint of an earlier version has no names"


def test_folders_that_give_the_splits_win_over_the_names_of_a_checkpoint(tmp_path: Path) -> None:
    for number, split in enumerate(("train", "val", "test")):
        noise(tmp_path / f"music/{split}/{split}.wav", 0.2, number)
    data = replace(stored(tmp_path / "music"), held_out={"val": ["test/test.wav"], "test": ["train/train.wav"]})
    assert splits_of(data) == {f"{split}.wav": split for split in ("train", "val", "test")}


def test_names_in_the_other_unicode_form_are_the_same_recordings(tmp_path: Path) -> None:
    for number, name in enumerate(("a", "ez", "\u00e9l", "z", "\u00f61", "p", "\u00e9lan", "\u00fcber", "zz")):
        noise(tmp_path / "music" / unicodedata.normalize("NFC", f"{name}.wav"), 0.2, number)
    composed = stored(tmp_path / "music")
    composed.make()
    fingerprint, names = composed.fingerprint, composed.names()
    for path in sorted((tmp_path / "music").iterdir()):
        path.rename(path.with_name(unicodedata.normalize("NFD", path.name)))
    decomposed = replace(stored(tmp_path / "music"), held_out=names)
    decomposed.make()
    assert (decomposed.fingerprint, decomposed.names()) == (fingerprint, names)


@pytest.fixture
def music(tmp_path: Path) -> Path:
    """Mixed rates, channels and depths, and two files that are no audio."""
    noise(tmp_path / "music/train/a.wav", 0.3, 0, 44_100, 2, subtype="PCM_24")
    noise(tmp_path / "music/train/b.flac", 0.3, 1, 8_000)
    noise(tmp_path / "music/val/c.ogg", 0.3, 2, 48_000, 2)
    noise(tmp_path / "music/test/d.wav", 0.3, 3, subtype="FLOAT")
    for name in ("train/[bold]text.wav", "test/text.mp3"):
        (tmp_path / "music" / name).write_text("not audio")
    return tmp_path / "music"


def test_what_was_used_and_what_was_not_is_one_table(
    tmp_path: Path, music: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    data = prepared(tmp_path, audio_dir=str(music))
    shown = capfd.readouterr().err
    for split, count in (("train", 2), ("val", 1), ("test", 1)):
        assert f"{split}{count}0.0000" in squeezed(shown)
    assert "skipped2" in squeezed(shown) and f"python -m sequnet_pl.data.store list {data.store}" in shown
    assert "[bold]text.wav: not audio" in caplog.text
    data.prepare_data()  # a validation after a fit does
    assert not capfd.readouterr().err, "the table is printed once"
    (music / "train/[bold]text.wav").unlink()
    (music / "test/text.mp3").unlink()
    prepared(tmp_path, audio_dir=str(music))
    assert not capfd.readouterr().err, "nothing changed"
    shutil.move(music / "train/a.wav", music / "test/a.wav")
    prepared(tmp_path, audio_dir=str(music))
    assert "test2" in squeezed(capfd.readouterr().err)


def test_other_recordings_and_other_options_have_stores_of_their_own(tmp_path: Path) -> None:
    for split in ("train", "val", "test"):
        noise(tmp_path / "music" / split / f"{split}.wav", 4, channels=2)
    options: list[dict[str, Any]] = [{}, {"channel": "left"}, {"channel": "right"}, {"loudness": -30.0}]
    options += [{"skip_silence": 0.1}, {"sample_rate": 500}]
    stores = [prepared(tmp_path, audio_dir=str(tmp_path / "music"), **given) for given in options]
    assert len({data.fingerprint for data in stores}) == len(options)
    assert stores[-1].splits["train"].lengths.tolist() == [2000]
    others: list[dict[str, Any]] = [{"dataset": "builtin"}, {"dataset": "builtin", "builtin_takes": 3}, {}]
    others += [{kind: f"{folder}/x.csv"} for kind in ("audio_dir", "audio_list", "recordings") for folder in "ab"]
    folders = [StoredRecordings(data_dir=str(tmp_path), **given).folder for given in others]
    assert len({*folders, *(data.store for data in stores)}) == len(options) + len(others)
    for same, number in (({"audio_dir": "c/../a/x.csv"}, 3), ({"dataset": "builtin", "builtin_takes": 2}, 0)):
        assert StoredRecordings.of({"data_dir": str(tmp_path), **same}).folder == folders[number]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channel": "middle"}, "channel 'middle'"),
        ({"loudness": 3.0}, "loudness of 3.0 LUFS"),
        ({"skip_silence": 0.0}, "silence of 0.0 s"),
        ({"sample_rate": -1}, "sample_rate is -1"),
        ({"audio_dir": "x", "audio_list": "x"}, "--audio_dir x and --audio_list x"),
        ({"audio_dir": ["a", "b"], "recordings": "x"}, "--audio_dir a b and --recordings x each choose"),
        ({"builtin_takes": 40}, "--builtin_takes 40 goes with --dataset builtin, not with --dataset piano"),
        ({"builtin_takes": 40, "dataset": "builtin", "recordings": "x"}, "not with --recordings x"),
        *(({"builtin_takes": n, "dataset": "builtin"}, f"--builtin_takes is {n}, but .* 1 to") for n in (0, -1, 1001)),
        ({"audio_dir": ["a", "b"], "audio_weights": [1.0]}, "--audio_weights has 1 for 2 folders"),
        ({"audio_dir": ["a", "b"], "audio_weights": [3.0, 0.0]}, "--audio_weights has 0, but a sampling weight is"),
        ({"audio_dir": ["a", "b"], "audio_weights": [1.0, math.nan]}, "--audio_weights has nan,"),
        ({"audio_dir": ["a", "link"]}, "a is link or lies in it; name each folder once"),
        ({"audio_dir": ["a/sub", "b", "a"]}, "a/sub is a or lies in it"),
        ({"audio_dir": ["a", ""]}, "audio_dir is empty"),
        ({"audio_dir": []}, "audio_dir is empty"),
    ],
    ids=range(18),
)
def test_options_that_make_no_sense(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    touch(tmp_path, "a/sub/x.wav", "b/x.wav")
    Path("link").symlink_to("a")
    AudioDataModule(audio_dir=["a", "ab"])
    with pytest.raises(UsageError, match=message):
        AudioDataModule(**options)


def trainer() -> pl.Trainer:
    quiet: dict[str, Any] = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar"), False)
    quiet |= {"enable_model_summary": False, "use_distributed_sampler": False, "num_sanity_val_steps": 0}
    return pl.Trainer(accelerator="cpu", max_steps=1, **quiet)


@pytest.mark.parametrize("stage", ["fit", "test"])
def test_other_recordings_than_the_checkpoint_learnt_from_are_named(
    tmp_path: Path, music: Path, caplog: pytest.LogCaptureFixture, stage: str
) -> None:
    module, fit = SeqUNetModule(levels=2, features=3, depth=1, kernel_size=3), trainer()
    checkpoint = tmp_path / "x.ckpt"
    fit.fit(module, first := prepared(tmp_path, audio_dir=str(music)))
    fit.save_checkpoint(checkpoint)
    shutil.copytree(music, tmp_path / "moved")
    noise(shutil.copytree(music, tmp_path / "more") / "train" / "z.wav", seed=7)
    for folder, is_other in (("music", False), ("moved", False), ("more", True)):
        caplog.clear()
        data = prepared(tmp_path, audio_dir=str(tmp_path / folder))
        getattr(trainer(), stage)(module, datamodule=data, ckpt_path=str(checkpoint), weights_only=True)
        warnings = [message for message in caplog.messages if "other recordings" in message]
        assert bool(warnings) == is_other, folder
    for named in (first.store.name, first.fingerprint, data.store.name, data.fingerprint):
        assert named in warnings[0]
