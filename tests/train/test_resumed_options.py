"""Options of a resumed run, and runs that an environment, a checkpoint or a schedule does not fit."""

import signal

import pytest
import torch
from tiny import fit, rows, run_folder

from sequnet_pl.training.module import AudioModule


def test_early_stopping_is_reported_and_a_resumed_run_has_the_patience_given(run, audio_folder, tmp_path):
    """Also in the first epoch, whose number is 0."""

    def epochs_validated():
        return [row["epoch"] for row in rows(run_folder(tmp_path, "sequnet")) if row["val/bits_per_sample"]]

    line = fit("sequnet", audio_folder, 40) + " --lr 1e-30 --early_stopping 1 --trainer.val_check_interval 2"
    status, out = run(line)
    assert status == 0
    assert "early stopping: " in out and "val/bits_per_sample" in out
    assert epochs_validated() == ["0", "0"]
    assert run("--ckpt_path last --early_stopping 4")[0] == 0
    assert len(epochs_validated()) == 5


def test_a_finished_run_is_not_validated_again_and_continues_on_a_schedule_of_another_length(
    run, audio_folder, tmp_path, caplog
):
    assert run(fit("sequnet", audio_folder, 2) + " --anneal")[0] == 0
    scored = rows(run_folder(tmp_path, "sequnet"))
    status, out = run("--ckpt_path last")
    assert status == 0
    assert "the run is finished: a larger --max_steps, --epochs or --minutes continues it" in out
    assert rows(run_folder(tmp_path, "sequnet")) == scored
    assert {row["epoch"] for row in scored if row["epoch"]} == {"0"}
    assert run("--ckpt_path last --max_steps 4")[0] == 0
    assert "the schedule of the learning rate now spans the new length" in caplog.text


def test_the_command_that_resumes_a_run_finds_its_settings(run, run_train, audio_folder, tmp_path, monkeypatch, caplog):
    step = AudioModule.training_step

    def training_step(self, batch, batch_idx):
        if self.trainer.global_step == 2:
            signal.raise_signal(signal.SIGTERM)
        return step(self, batch, batch_idx)

    with monkeypatch.context() as patch, pytest.raises(AssertionError):  # a signal ends without a line of error
        patch.setattr(AudioModule, "training_step", training_step)
        run(f"{fit('sequnet', audio_folder, 5)} --snapshot_dir {tmp_path}/snapshots")
    command = caplog.text.partition("resume with: python train.py ")[2].partition("\n")[0]
    assert run_train(command)[0] == 0
    assert torch.load(tmp_path / "snapshots" / "last.ckpt", weights_only=True)["global_step"] == 5
    assert len(rows(run_folder(tmp_path, "sequnet"))) > 5


def test_a_stray_rank_does_not_let_a_run_overwrite_another(run, audio_folder, tmp_path, monkeypatch):
    line = fit("sequnet", audio_folder, 2) + " --name mine"
    assert run(line)[0] == 0
    last = run_folder(tmp_path, "sequnet") / "checkpoints" / "last.ckpt"
    before = last.read_bytes()
    for name in ("RANK", "SLURM_PROCID"):
        with monkeypatch.context() as patch:
            patch.setenv(name, "1")
            status, text = run(line)
        assert (status, "--ckpt_path last resumes it" in text) == (2, True)
        assert last.read_bytes() == before


def test_a_run_below_links_resumes_and_is_scored(run, audio_folder, tmp_path):
    assert run(fit("sequnet", audio_folder, 2) + " --name run")[0] == 0
    for linked, place in (("logs/sequnet/run", "elsewhere"), ("logs", "others")):
        (tmp_path / linked).rename(tmp_path / place)
        (tmp_path / linked).symlink_to(tmp_path / place)
    (tmp_path / "logs" / "around").symlink_to(tmp_path)
    assert run("--ckpt_path last --max_steps 4")[0] == 0
    assert run("test --ckpt_path last")[0] == 0
    folder = tmp_path / "logs" / "sequnet" / "run"
    assert torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 4
    assert (folder / "test.json").is_file()


def test_steps_are_logged_once_in_tensorboard_after_an_earlier_checkpoint(run, audio_folder, tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    line = fit("sequnet", audio_folder, 4) + " --logger tensorboard --keep -1 --trainer.val_check_interval 2"
    assert run(line)[0] == 0
    folder = run_folder(tmp_path, "sequnet")
    assert run(f"--ckpt_path {folder}/checkpoints/best-step00000002.ckpt --max_steps 5 --logger tensorboard")[0] == 0
    events = accumulator.EventAccumulator(str(folder))
    events.Reload()
    assert [event.step for event in events.Scalars("train/bits_per_sample")] == list(range(5))
