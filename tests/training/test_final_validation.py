"""A run that ends by max_steps is validated at its end, once; and goes on as if it had not been."""

import functools
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from noisy_runs import EPOCH, assert_the_same, best, files, noisy_fit, rows
from pytorch_lightning.callbacks import EarlyStopping
from sequnet_pl.training.random_states import random_states
from short_runs import same_weights

from sequnet_pl.training.averaging import WITHOUT, ScoredEMA
from sequnet_pl.training.checkpoints import is_of_an_end
from sequnet_pl.training.saving import load_module


@pytest.mark.parametrize("steps", [1, 2, 3, 5, EPOCH, EPOCH + 1, 11])
def test_a_run_is_validated_once_at_its_end(noisy, steps):
    run = noisy(max_steps=steps)
    assert run.error is None
    scores = run.curve("val/bits_per_sample")
    assert list(scores) == sorted({steps - 1, *range(EPOCH - 1, steps, EPOCH)})
    trained = [row for row in rows(run) if row["train/bits_per_sample"]]
    assert [int(row["step"]) for row in trained] == sorted({0, *range(2, steps, 3), steps - 1})
    assert all(float(row["hours_heard"]) > 0 for row in rows(run))
    assert f"best-step{steps:08d}.ckpt" in files(run)


@pytest.mark.parametrize(("steps", "most"), [(1, 512), (2, 1024), (12, None)])
def test_it_takes_no_more_samples_than_training_has_heard(noisy, capsys, steps, most):
    run = noisy(max_steps=steps, data={"hop_size": 500})
    said = f"validating on no more samples than training has heard: {most} of 4,960 (step {steps})"
    assert (said in capsys.readouterr().out.replace("1,024", "1024")) == (most is not None)
    ((_, logged),) = run.curve("val/bits_per_sample").items()
    module, content = load_module(best(run))
    assert content["global_step"] == steps
    run.trainer.datamodule.most_validated = most
    (score,) = run.trainer.validate(module, run.trainer.datamodule, verbose=False)
    assert score["val/bits_per_sample"] == pytest.approx(float(logged), abs=1e-6)


@pytest.mark.parametrize(
    ("steps", "options"),
    [
        (5, {}),
        (EPOCH, {}),
        pytest.param(EPOCH, {"val_check_interval": 5}, marks=pytest.mark.slow),
        (EPOCH, {"check_val_every_n_epoch": 2}),
        (5, {"check_val_every_n_epoch": None, "val_check_interval": 4}),
        pytest.param(EPOCH, {"check_val_every_n_epoch": None, "val_check_interval": 4}, marks=pytest.mark.slow),
        pytest.param(5, {"val_check_interval": "00:01:00:00"}, marks=pytest.mark.slow),
        (5, {"accumulate_grad_batches": 2}),
        pytest.param(EPOCH, {"accumulate_grad_batches": 2}, marks=pytest.mark.slow),
        pytest.param(5, {"max_epochs": 4}, marks=pytest.mark.slow),
        (EPOCH, {"keep": 9}),
        (5, {"keep": 0}),
        pytest.param(5, {"log_every_n_steps": 50}, marks=pytest.mark.slow),
        (EPOCH, {"log_every_n_steps": 0}),
        (5, {"limit_val_batches": 1}),
        (EPOCH, {"limit_val_batches": 0}),
        (5, {"data": {"val_hours": 0.00005}}),
        pytest.param(5, {"data": {"num_workers": 1}}, marks=pytest.mark.slow),
        pytest.param(EPOCH, {"precision": "bf16-mixed"}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_more_steps_go_on_as_unbroken(noisy, steps, options):
    noisy("run", max_steps=steps, **options)
    resumed = noisy("run", go_on=True, max_steps=12, **options)
    unbroken = noisy("whole", max_steps=12, **options)
    assert resumed.error is unbroken.error is None
    assert_the_same(unbroken, resumed)


def test_no_random_state_moves_and_last_is_saved_before(noisy, tmp_path):
    states, saved = [], []

    class Look(pl.Callback):
        def on_train_epoch_end(self, trainer, pl_module):
            states.append(random_states())

        def on_validation_start(self, trainer, pl_module):
            content = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
            saved.append((content["global_step"], content["run"]["final_validation"]))

        def on_train_end(self, trainer, pl_module):
            states.append(random_states())

    run = noisy("run", Look(), max_steps=5)
    assert run.error is None
    assert saved == [(5, "due")]
    assert str(states[0]) == str(states[1])
    assert all(torch.equal(states[0][name], states[1][name]) for name in ("torch",))
    assert run.last["run"]["final_validation"] == "done"


def test_an_earlier_best_keeps_its_place(noisy):
    """Its file is there when the run goes on, and what the end has added is gone."""
    whole = noisy("whole", max_steps=2 * EPOCH)
    run = noisy(max_steps=EPOCH + 3)
    assert [name for name in files(run) if "best" in name] == [f"best-step{step:08d}.ckpt" for step in (7, 10)]
    assert best(run).name == "best-step00000010.ckpt"
    assert is_of_an_end(best(run))
    assert_the_same(whole, noisy("run", go_on=True, max_steps=2 * EPOCH))
    shorter = noisy("shorter", max_steps=3)
    resumed = noisy("again", go_on=str(best(shorter)), max_steps=2 * EPOCH)
    assert resumed.error is None
    assert same_weights(whole, resumed)
    assert best(shorter).is_file()


def test_scores_of_earlier_validations_are_no_scores_of_the_end(noisy):
    run = noisy(max_steps=EPOCH + 3, keep=3, limit_val_batches=1)
    scores = {torch.load(path, weights_only=True)["global_step"] for path in run.folder.glob("checkpoints/best*")}
    assert scores == {EPOCH, EPOCH + 3}


def test_early_stopping_does_not_count_it(noisy):
    def options():
        return {"more": EarlyStopping("val/bits_per_sample", patience=1, min_delta=100)}

    whole = noisy("whole", options()["more"], max_steps=30)
    assert whole.trainer.global_step == 2 * EPOCH
    noisy("run", options()["more"], max_steps=3)
    noisy("run", options()["more"], go_on=True, max_steps=EPOCH + 2)
    assert_the_same(whole, noisy("run", options()["more"], go_on=True, max_steps=30))


def test_the_last_step_is_logged_where_validation_ends_the_run(noisy):
    stopper = EarlyStopping("val/bits_per_sample", stopping_threshold=100)
    run = noisy("run", stopper, max_steps=30, log_every_n_steps=50)
    assert list(run.curve()) == [0, EPOCH - 1]
    resumed = noisy("run", go_on=True, max_steps=12, log_every_n_steps=50)
    assert_the_same(noisy("whole", max_steps=12, log_every_n_steps=50), resumed)


def test_averaged_weights_are_validated(noisy):
    run = noisy("run", ScoredEMA(decay=0.9), max_steps=5)
    assert run.error is None
    (value,), (without,) = (run.curve(name).values() for name in ("val/bits_per_sample", WITHOUT))
    module, content = load_module(best(run))
    run.trainer.datamodule.most_validated = content["callbacks"]["Measures"]["heard"]
    (score,) = run.trainer.validate(module, run.trainer.datamodule, verbose=False)
    assert float(value) == pytest.approx(score["val/bits_per_sample"], abs=1e-6)
    assert value != without
    noisy("again", ScoredEMA(decay=0.9), max_steps=5)
    resumed = noisy("again", ScoredEMA(decay=0.9), go_on=True, max_steps=9)
    assert_the_same(noisy("whole", ScoredEMA(decay=0.9), max_steps=9), resumed)


def test_without_recordings_to_validate_on_there_is_none(tmp_path, audio_folder):
    (tmp_path / "audio").mkdir()
    (tmp_path / "audio" / "alone.wav").symlink_to(audio_folder / "train" / "2.wav")
    options = {"data": {"hop_size": 1000}, "val_check_interval": 3}
    noisy = functools.partial(noisy_fit, tmp_path, tmp_path / "audio", **options)
    run = noisy("run", max_steps=EPOCH)
    assert run.error is None
    assert files(run) == ["last.ckpt"]
    assert run.last["global_step"] == EPOCH
    assert_the_same(noisy("whole", max_steps=9), noisy("run", go_on=True, max_steps=9))


def _two(root, audio, name, steps, go_on):
    options = {"data": {"batch_size": 1}, "max_steps": steps, "strategy": "ddp", "devices": 2}
    run = noisy_fit(Path(root), audio, name, go_on=go_on, **options)
    if run.error:
        raise run.error


@pytest.mark.slow
def test_two_processes(tmp_path, audio_folder, group):
    for name, steps, go_on in (("run", 5, False), ("run", 9, True), ("whole", 9, False)):
        statuses, logs = group(2, _two, str(tmp_path), str(audio_folder), name, steps, go_on).wait()
        assert statuses == [0, 0], logs
    texts = [(tmp_path / name / "metrics.csv").read_text().splitlines() for name in ("run", "whole")]
    curves = [[line.split(",")[:4] for line in text] for text in texts]
    assert curves[0] == curves[1]
