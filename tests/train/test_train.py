"""train.py from end to end: train, stop, resume, test."""

import json

import pytest
import torch
from pytorch_lightning.callbacks import EMAWeightAveraging
from tiny import fit, rows, run_folder

from sequnet_pl.training.export import write_export
from sequnet_pl.training.module import AudioModule


def test_train_resume_and_test(run, audio_folder, tmp_path):
    status, out = run(fit("wavenet", audio_folder, 3))
    folder = run_folder(tmp_path, "wavenet")
    assert (status, f"train.py test --ckpt_path {folder}/checkpoints/last.ckpt" in out.splitlines()[-1]) == (0, True)
    assert {"config.yaml", "metrics.csv", "checkpoints"} <= {path.name for path in folder.iterdir()}
    before = [row["train/bits_per_sample"] for row in rows(folder) if row["train/bits_per_sample"]]
    assert len(before) == 3

    assert run("--model wavenet --ckpt_path last --max_steps 8")[0] == 0
    after = [row["train/bits_per_sample"] for row in rows(folder) if row["train/bits_per_sample"]]
    assert after[:3] == before  # history is kept
    assert len(after) == 8
    assert any(row["val/bits_per_sample"] for row in rows(folder))
    last = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    assert (last["global_step"], last["network"]) == (8, "wavenet")

    for which in ("last", "best"):
        status, out = run(f"test --ckpt_path {which}")
        assert status == 0
        assert "uniform baseline" in out
        assert out.splitlines()[-1] == f"details: {folder}/test.html"
    assert (folder / "test.html").is_file()
    scores = json.loads((folder / "test.json").read_text())
    assert scores["bits_per_sample"]["this network"] == pytest.approx(scores["test/bits_per_sample"])
    assert 0 < scores["bits_per_sample"]["trigram baseline"] < 12
    assert (scores["network"], len(scores["recordings"])) == ("wavenet", 2)
    assert 0 < scores["step"] <= 8  # of the best
    assert run("validate --ckpt_path last")[0] == 0
    assert run_folder(tmp_path, "wavenet") == folder


def test_averaged_weights_are_on_the_device_of_the_training(run, audio_folder, monkeypatch):
    """They are copied in the callback's setup, before Lightning itself moves the module to its device."""
    moved, seen = [], []
    to, setup = AudioModule.to, EMAWeightAveraging.setup
    monkeypatch.setattr(AudioModule, "to", lambda self, *where: moved.append(where) or to(self, *where))
    monkeypatch.setattr(EMAWeightAveraging, "setup", lambda *a, **named: seen.append(moved[:]) or setup(*a, **named))
    assert run(f"{fit('sequnet', audio_folder, 1)} --ema 0.9")[0] == 0
    assert seen[0] == [(torch.device("cpu"),)]


def test_snapshot_dir_and_log_dir_of_the_published_command(run, run_train, audio_folder, tmp_path):
    where = f" --log_dir {tmp_path}/logs/sequnet --snapshot_dir {tmp_path}/snapshots --data_dir {tmp_path}/data"
    options = " --gpus 0 --logger none --num_workers 0 --sample_audio.every_n_epochs 0"
    assert run_train(fit("sequnet", audio_folder, 3) + where + options)[0] == 0
    folder = run_folder(tmp_path, "sequnet")  # not logs/sequnet/sequnet
    assert (tmp_path / "snapshots" / "last.ckpt").is_file()
    assert not (folder / "checkpoints").exists()
    assert run("test --ckpt_path last")[0] == 0
    assert (folder / "test.json").is_file()
    assert run("--ckpt_path last --max_steps 5")[0] == 0
    assert run_folder(tmp_path, "sequnet") == folder


def test_weights_alone_are_scored_and_start_a_run_but_do_not_resume(run, audio_folder, tmp_path):
    assert run(fit("sequnet", audio_folder, 2))[0] == 0
    weights, _ = write_export(
        run_folder(tmp_path, "sequnet") / "checkpoints" / "last.ckpt", tmp_path / "mine", tmp_path
    )
    where = f"--audio_dir {audio_folder} --output_size 256"
    status, text = run(f"test --ckpt_path {weights} {where}")
    assert status == 0, text
    scores = json.loads((tmp_path / "mine" / "test.json").read_text())  # beside what was scored
    assert (scores["step"], scores["checkpoint"]) == (2, str(weights))
    status, text = run(f"--ckpt_path {weights} {where} --max_steps 3")
    assert status == 2
    assert f"start one with --init_from {weights}" in text
    assert run(f"--init_from {weights} {where} --max_steps 1")[0] == 0
