"""From the options to a store, the table of its content, and what checkpoints and loggers record."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
from recordings import noise, prepared, squeezed

from sequnet_pl.data.datamodule import AudioDataModule
from sequnet_pl.errors import UsageError
from sequnet_pl.training.module import SeqUNetModule


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
    (music / "train/[bold]text.wav").unlink()
    (music / "test/text.mp3").unlink()
    prepared(tmp_path, audio_dir=str(music))
    assert not capfd.readouterr().err, "nothing changed"
    shutil.move(music / "train/a.wav", music / "test/a.wav")
    prepared(tmp_path, audio_dir=str(music))
    assert "test2" in squeezed(capfd.readouterr().err)


def test_options_of_the_store_make_other_stores(tmp_path: Path) -> None:
    for split in ("train", "val", "test"):
        noise(tmp_path / "music" / split / f"{split}.wav", 4, channels=2)
    changes = {"plain": {}, "left": {"channel": "left"}, "loud": {"loudness": -30.0}, "slow": {"sample_rate": 500}}
    changes |= {"short": {"skip_silence": 0.1}, "right": {"channel": "right"}}
    stores = {name: prepared(tmp_path, audio_dir=str(tmp_path / "music"), **given) for name, given in changes.items()}
    assert len({data.store for data in stores.values()}) == len({data.fingerprint for data in stores.values()}) == 6
    assert stores["slow"].splits["train"].lengths.tolist() == [2000]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channel": "middle"}, "channel 'middle'"),
        ({"loudness": 3.0}, "loudness of 3.0 LUFS"),
        ({"skip_silence": 0.0}, "silence of 0.0 s"),
        ({"sample_rate": -1}, "sample_rate is -1"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        AudioDataModule(**options)  # type: ignore[arg-type]


def trainer() -> pl.Trainer:
    quiet: dict[str, Any] = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar"), False)
    quiet |= {"enable_model_summary": False, "use_distributed_sampler": False, "num_sanity_val_steps": 0}
    return pl.Trainer(accelerator="cpu", max_steps=1, **quiet)


@pytest.mark.parametrize("stage", ["fit", "test"])
def test_other_recordings_than_the_checkpoint_learnt_from_are_named(
    tmp_path: Path, music: Path, caplog: pytest.LogCaptureFixture, stage: str
) -> None:
    module, fit, checkpoint = (
        SeqUNetModule(levels=2, features=3, depth=1, kernel_size=3),
        trainer(),
        tmp_path / "x.ckpt",
    )
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
