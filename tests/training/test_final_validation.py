"""A run that ends by max_steps is validated at its end, once; and goes on as if it had not been."""

import csv
import os
import random
import signal
from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping
from short_runs import run_fit, same_weights

from sequnet_pl.training import saving
from sequnet_pl.training.averaging import WITHOUT, ScoredEMA
from sequnet_pl.training.checkpoint_io import load_module
from sequnet_pl.training.checkpoints import Run, best_of, is_of_an_end
from sequnet_pl.training.measures import Measures
from sequnet_pl.training.random_states import random_states
from sequnet_pl.training.rows import FirstAndLastRows

EPOCH = 7  # steps


class Noise(pl.Callback):
    """Makes the run depend on all random states of the process, in validation too."""

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        for parameter in pl_module.parameters():
            parameter.grad += 0.01 * (torch.rand(()) + random.random() + np.random.rand())  # noqa: NPY002

    def on_validation_batch_start(self, *_):
        torch.rand(()), random.random(), np.random.rand()  # noqa: NPY002


def callbacks(*more):
    return [FirstAndLastRows(), Measures(), Noise(), *more]


@pytest.fixture
def fit(tmp_path, audio_folder):
    """A run of so many steps; three of them make a row, where nothing else is said."""

    def run(name="run", *more, **options):
        random.seed(0)
        np.random.seed(0)  # noqa: NPY002
        defaults = {"log_every_n_steps": 3, "max_epochs": -1}
        return run_fit(tmp_path, audio_folder, name, callbacks=callbacks(*more), **defaults | options)

    return run


def files(run):
    return sorted(path.name for path in (run.folder / "checkpoints").iterdir())


def best(run):
    return best_of(Run(run.folder, "sequnet", run.folder / "checkpoints"))


def rows(run):
    """Of the file, without what is measured."""
    with (run.folder / "metrics.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    return [{name: value for name, value in row.items() if not name.startswith(("speed/", "wall"))} for row in found]


def assert_the_same(one, other):
    assert rows(one) == rows(other)
    assert same_weights(one, other)
    assert files(one) == files(other)
    assert one.last["callbacks"].keys() == other.last["callbacks"].keys()


@pytest.mark.parametrize("steps", [1, 2, 3, 5, EPOCH, EPOCH + 1, 11])
def test_a_run_is_validated_once_at_its_end(fit, steps):
    run = fit(max_steps=steps)
    assert run.error is None
    scores = run.curve("val/bits_per_sample")
    assert list(scores) == sorted({steps - 1, *range(EPOCH - 1, steps, EPOCH)})
    trained = [row for row in rows(run) if row["train/bits_per_sample"]]
    assert [int(row["step"]) for row in trained] == sorted({0, *range(2, steps, 3), steps - 1})
    assert all(float(row["hours_heard"]) > 0 for row in rows(run))
    assert f"best-step{steps:08d}.ckpt" in files(run)


@pytest.mark.parametrize(("steps", "most"), [(1, 512), (2, 1024), (12, None)])
def test_it_takes_no_more_samples_than_training_has_heard(fit, capsys, steps, most):
    run = fit(max_steps=steps, data={"hop_size": 500})
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
def test_more_steps_go_on_as_unbroken(fit, steps, options):
    fit("run", max_steps=steps, **options)
    resumed = fit("run", go_on=True, max_steps=12, **options)
    unbroken = fit("whole", max_steps=12, **options)
    assert resumed.error is unbroken.error is None
    assert_the_same(unbroken, resumed)


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


class InValidation(pl.Callback):
    """Does something at the first batch of the validation after so many steps."""

    def __init__(self, step, act):
        self.step, self.act = step, act

    def on_validation_batch_start(self, trainer, *_):
        if trainer.global_step == self.step:
            self.act()


def test_no_random_state_moves_and_last_is_saved_before(fit, tmp_path):
    states, saved = [], []

    class Look(pl.Callback):
        def on_train_epoch_end(self, trainer, pl_module):
            states.append(random_states())

        def on_validation_start(self, trainer, pl_module):
            content = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
            saved.append((content["global_step"], content["run"]["final_validation"]))

        def on_train_end(self, trainer, pl_module):
            states.append(random_states())

    run = fit("run", Look(), max_steps=5)
    assert run.error is None
    assert saved == [(5, "due")]
    assert str(states[0]) == str(states[1])
    assert all(torch.equal(states[0][name], states[1][name]) for name in ("torch",))
    assert run.last["run"]["final_validation"] == "done"


def _killed(root, audio, place, steps, options=None):
    """Killed in the last validation, as soon as its row is there, or as soon as the best checkpoint is."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    if place == "row":
        saving.BestCheckpoint.save_at_end = lambda *_: kill()
    if place == "best":
        save = saving.BestCheckpoint.save_at_end
        saving.BestCheckpoint.save_at_end = lambda *args: (save(*args), kill())
    defaults = {"log_every_n_steps": 3, "max_epochs": -1, "max_steps": steps, "val_check_interval": 4}
    more = [InValidation(steps, kill)] if place == "batch" else []
    run_fit(Path(root), audio, callbacks=callbacks(*more), **defaults | (options or {}))


@pytest.mark.parametrize("steps", [5, EPOCH])
@pytest.mark.parametrize("place", ["batch", "row", "best"])
def test_killed_in_it_is_validated_when_gone_on_with(fit, tmp_path, audio_folder, group, place, steps):
    statuses, logs = group(1, _killed, str(tmp_path), str(audio_folder), place, steps).wait()
    assert statuses == [-signal.SIGKILL], logs
    options = {"val_check_interval": 4}
    whole = fit("whole", max_steps=steps, **options)
    for _ in range(2):  # and not once more
        resumed = fit("run", go_on=True, max_steps=steps, **options)
        assert resumed.error is None
        assert_the_same(whole, resumed)
    assert_the_same(fit("longer", max_steps=9, **options), fit("run", go_on=True, max_steps=9, **options))


@pytest.mark.parametrize("steps", [4, EPOCH])
def test_killed_in_a_check_at_the_last_step(fit, tmp_path, audio_folder, group, steps):
    """Which Lightning would never do, since no step is left."""
    options = {"val_check_interval": 4 if steps == 4 else 1.0}
    statuses, logs = group(1, _killed, str(tmp_path), str(audio_folder), "batch", steps, options).wait()
    assert statuses == [-signal.SIGKILL], logs
    whole, resumed = fit("whole", max_steps=steps, **options), fit("run", go_on=True, max_steps=steps, **options)
    assert_the_same(whole, resumed)
    assert len([name for name in files(resumed) if "best" in name]) == 1
    assert_the_same(fit("longer", max_steps=9, **options), fit("run", go_on=True, max_steps=9, **options))


def test_killed_in_it_and_gone_on_with_for_more_steps(fit, tmp_path, audio_folder, group):
    group(1, _killed, str(tmp_path), str(audio_folder), "batch", 5, {"val_check_interval": 1.0}).wait()
    assert_the_same(fit("whole", max_steps=9), fit("run", go_on=True, max_steps=9))


def test_terminated_in_it(fit):
    run = fit("run", InValidation(5, lambda: signal.raise_signal(signal.SIGTERM)), max_steps=5)
    assert run.error.code == 143
    resumed = fit("run", go_on=True, max_steps=5)
    assert_the_same(fit("whole", max_steps=5), resumed)


def test_an_earlier_best_keeps_its_place(fit):
    """Its file is there when the run goes on, and what the end has added is gone."""
    whole = fit("whole", max_steps=2 * EPOCH)
    run = fit(max_steps=EPOCH + 3)
    assert [name for name in files(run) if "best" in name] == [f"best-step{step:08d}.ckpt" for step in (7, 10)]
    assert best(run).name == "best-step00000010.ckpt"
    assert is_of_an_end(best(run))
    assert_the_same(whole, fit("run", go_on=True, max_steps=2 * EPOCH))
    shorter = fit("shorter", max_steps=3)
    resumed = fit("again", go_on=str(best(shorter)), max_steps=2 * EPOCH)
    assert resumed.error is None
    assert same_weights(whole, resumed)
    assert best(shorter).is_file()


def test_scores_of_earlier_validations_are_no_scores_of_the_end(fit):
    run = fit(max_steps=EPOCH + 3, keep=3, limit_val_batches=1)
    scores = {torch.load(path, weights_only=True)["global_step"] for path in run.folder.glob("checkpoints/best*")}
    assert scores == {EPOCH, EPOCH + 3}


def test_early_stopping_does_not_count_it(fit):
    def options():
        return {"more": EarlyStopping("val/bits_per_sample", patience=1, min_delta=100)}

    whole = fit("whole", options()["more"], max_steps=30)
    assert whole.trainer.global_step == 2 * EPOCH
    fit("run", options()["more"], max_steps=3)
    fit("run", options()["more"], go_on=True, max_steps=EPOCH + 2)
    assert_the_same(whole, fit("run", options()["more"], go_on=True, max_steps=30))


def test_the_last_step_is_logged_where_validation_ends_the_run(fit):
    stopper = EarlyStopping("val/bits_per_sample", stopping_threshold=100)
    run = fit("run", stopper, max_steps=30, log_every_n_steps=50)
    assert list(run.curve()) == [0, EPOCH - 1]
    resumed = fit("run", go_on=True, max_steps=12, log_every_n_steps=50)
    assert_the_same(fit("whole", max_steps=12, log_every_n_steps=50), resumed)


def test_averaged_weights_are_validated(fit):
    run = fit("run", ScoredEMA(decay=0.9), max_steps=5)
    assert run.error is None
    (value,), (without,) = (run.curve(name).values() for name in ("val/bits_per_sample", WITHOUT))
    module, content = load_module(best(run))
    run.trainer.datamodule.most_validated = content["callbacks"]["Measures"]["heard"]
    (score,) = run.trainer.validate(module, run.trainer.datamodule, verbose=False)
    assert float(value) == pytest.approx(score["val/bits_per_sample"], abs=1e-6)
    assert value != without
    fit("again", ScoredEMA(decay=0.9), max_steps=5)
    resumed = fit("again", ScoredEMA(decay=0.9), go_on=True, max_steps=9)
    assert_the_same(fit("whole", ScoredEMA(decay=0.9), max_steps=9), resumed)


def test_without_recordings_to_validate_on_there_is_none(tmp_path, audio_folder):
    (tmp_path / "audio").mkdir()
    (tmp_path / "audio" / "alone.wav").symlink_to(audio_folder / "train" / "2.wav")
    options = {"log_every_n_steps": 3, "max_epochs": -1, "data": {"hop_size": 1000}, "val_check_interval": 3}

    def fit(name, **more):
        random.seed(0)
        np.random.seed(0)  # noqa: NPY002
        return run_fit(tmp_path, tmp_path / "audio", name, callbacks=callbacks(), **options | more)

    run = fit("run", max_steps=EPOCH)
    assert run.error is None
    assert files(run) == ["last.ckpt"]
    assert run.last["global_step"] == EPOCH
    assert_the_same(fit("whole", max_steps=9), fit("run", go_on=True, max_steps=9))


def _two(root, audio, name, steps, go_on):
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    options = {"log_every_n_steps": 3, "max_epochs": -1, "data": {"batch_size": 1}, "max_steps": steps}
    run = run_fit(Path(root), audio, name, go_on=go_on, callbacks=callbacks(), strategy="ddp", devices=2, **options)
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
