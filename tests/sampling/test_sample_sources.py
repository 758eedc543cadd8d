"""sample.py: which network it uses, and what it continues."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from sample_run import RATE, codes, made

from sequnet_pl.audio import mulaw
from sequnet_pl.data import builtin
from sequnet_pl.data.builtin.pieces import Piece

SNAPSHOTS = Path(__file__).parents[1] / "fixtures" / "snapshots"


def test_the_newest_run_and_best(run, trained: Path) -> None:
    for name, age in (("old", 100), ("new", 0)):
        folder = Path("logs/sequnet", name)
        (folder / "checkpoints").mkdir(parents=True)
        (folder / "config.yaml").write_text("model:\n  class_path: sequnet_pl.models.sequnet.SeqUNet\n")
        for file in ("last.ckpt", "best-step00000002.ckpt"):
            path = folder / "checkpoints" / file
            content = torch.load(trained, weights_only=True)
            content["callbacks"] = {"best": {"current_score": torch.tensor(1.0)}}
            torch.save(content, path)
            os.utime(path, (path.stat().st_atime - age,) * 2)
    for words, expected in (
        ("", "new/checkpoints/last"),
        ("--ckpt_path last", "new/checkpoints/last"),
        ("--ckpt_path best", "new/checkpoints/best"),
        ("--snapshot_dir logs/sequnet/old", "old/checkpoints/best"),
    ):
        folder = f"clips {words}"
        run(*words.split(), "--output_dir", folder, on=None)
        assert expected in made(Path(folder))[0]["checkpoint"]


def test_recordings_that_have_moved(run, trained: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    content = torch.load(trained, weights_only=True)
    shutil.copytree(trained.parent / "audio", "audio")
    content["datamodule_hyper_parameters"]["audio_dir"] = str(tmp_path / "audio")
    content["datamodule_hyper_parameters"]["data_dir"] = str(tmp_path / "data")
    torch.save(content, "moved.ckpt")
    moved = Path("moved.ckpt")
    run("--conditional", 1, on=moved)
    shutil.rmtree("audio")
    run("--conditional", 1, on=moved)  # their codes are still there
    shutil.rmtree("data")
    assert "--audio_dir" in run("--conditional", 1, on=moved, status=1)
    run("--conditional", 1, "--audio_dir", trained.parent / "audio", on=moved)
    run("--conditional", 1, "--audio_dir", trained.parent / "audio" / "test", "--output_dir", "two", on=moved)
    assert "continue those of train" in caplog.text


def test_more_renditions_of_train_are_not_made_to_sample(run, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    melody = Piece("scale", "test", 240, 4, "c4:1 e g c5", "C", ((0,), (1, 2)), 1)
    monkeypatch.setattr(builtin, "PIECES", (melody, replace(melody, name="march", split="train")))
    content = torch.load(trained, weights_only=True)
    content["datamodule_hyper_parameters"] |= {
        "dataset": "builtin", "builtin_takes": 40, "audio_dir": None, "data_dir": "data"
    }  # fmt: skip
    torch.save(content, "many.ckpt")
    run("--conditional", 1, on=Path("many.ckpt"))
    assert made()[0]["kind"] == "continuation"
    assert not list(Path("data/recordings").rglob("march_3.flac"))


def test_a_prompt_of_another_rate_and_stereo(run, caplog: pytest.LogCaptureFixture) -> None:
    times = np.arange(22_050) / 22_050
    tone = np.sin(2 * np.pi * 440 * times) / 2
    soundfile.write("tone.wav", np.stack((tone, tone), axis=1), 22_050)
    run("--prompt", "tone.wav", "--prompt_start", 0.25, "--prompt_seconds", 0.5)
    assert "22050 Hz, channels: 2; read as mono at 16000 Hz" in caplog.text
    clip = made()[0]
    assert clip["prompt_samples"] == 8000 and clip["prompt_end"] == 0.75
    context = mulaw.decode(codes(Path("generated", clip["wav"])))[:8000]
    expected = np.sin(2 * np.pi * 440 * (0.25 + np.arange(8000) / RATE)) / 2
    assert np.abs(context - expected)[100:-100].max() < 0.05


def test_snapshots_of_the_published_implementation(run, tmp_path: Path) -> None:
    for number in (5, 40):
        Path("steps").mkdir(exist_ok=True)
        content = torch.load(SNAPSHOTS / "sequnet_l2_f5_d3_k7" / "checkpoint_300", weights_only=True)
        torch.save(content | {"step": number}, f"steps/checkpoint_{number}")
    run("--snapshot_dir", "steps", on=None)
    wavenet = SNAPSHOTS / "wavenet_4x2"
    assert "13 layers a block do not divide" in run(on=wavenet, status=1)
    run("--layers", 4, "--model", "wavenet", on=wavenet)
    assert "has levels 2" in run("--levels", 3, on=Path("steps/checkpoint_5"), status=2)
    assert [(clip["step"], clip["network"]) for clip in made()] == [(40, "sequnet"), (300, "wavenet")]


def test_the_published_weights(run) -> None:
    shutil.copytree(SNAPSHOTS / "sequnet_l2_f5_d3_k7", "models/snapshots/sequnet")
    shutil.make_archive("data/pretrained/models", "zip", "models")  # as it lies there once it is downloaded
    run("--pretrained", "sequnet", on=None)
    assert made()[0]["step"] == 300
    assert "snapshots of wavenet" in run("--pretrained", "wavenet", on=None, status=1)
