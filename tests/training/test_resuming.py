"""A run that was stopped, anywhere and in any way, resumes as if it had not been."""

import os
import signal
from pathlib import Path

import pytest
from pytorch_lightning.callbacks import EarlyStopping, EMAWeightAveraging
from short_runs import At, run_fit, same_weights

from sequnet_pl.training.module import SeqUNetModule
from sequnet_pl.training.saving import LastCheckpoint

EPOCH = 7  # steps
CURVES = ("train/bits_per_sample", "val/bits_per_sample")


def terminate():
    signal.raise_signal(signal.SIGTERM)


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


def assert_the_same(unbroken, resumed, missing=0):
    """Compare weights, files and curves, of which a kill between a save and its row leaves out a row."""
    assert resumed.error is None
    for name in CURVES:
        found, expected = resumed.curve(name), unbroken.curve(name)
        assert expected | found == expected
        assert len(expected) - len(found) <= missing
    assert same_weights(unbroken, resumed)
    names = [sorted(path.name for path in (run.folder / "checkpoints").iterdir()) for run in (unbroken, resumed)]
    assert names[0] == names[1]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory, audio_folder):
    """Three epochs of seven steps, each validated twice."""
    return run_fit(tmp_path_factory.mktemp("unbroken"), audio_folder, val_check_interval=3)


def broken(tmp_path, audio_folder, at):
    """A run with the options of `unbroken`, in which something happens."""
    return run_fit(tmp_path, audio_folder, callbacks=[at], val_check_interval=3)


def resume(tmp_path, audio_folder):
    return run_fit(tmp_path, audio_folder, resume=True, val_check_interval=3)


@pytest.mark.parametrize(("step", "stage"), [(4, "training"), (6, "validation"), (7, "training"), (13, "validation")])
def test_terminated_anywhere(unbroken, tmp_path, audio_folder, step, stage):
    run = broken(tmp_path, audio_folder, At(terminate, step, stage))
    assert isinstance(run.error, SystemExit)
    assert run.error.code == 143
    assert run.trainer.global_step < unbroken.trainer.global_step
    assert_the_same(unbroken, resume(tmp_path, audio_folder))


@pytest.mark.parametrize(("step", "stage"), [(7, "validation"), (7, "training")])
def test_terminated_where_an_epoch_ends(fit, step, stage):
    """Early stopping and averaging read scores and weights there that no checkpoint contains."""

    def callbacks():
        return [EarlyStopping("val/bits_per_sample", patience=9), EMAWeightAveraging(decay=0.9)]

    stopped = fit(callbacks=[*callbacks(), At(terminate, step, stage)])
    assert stopped.error.code == 143
    assert "current_model_state" in stopped.last
    assert_the_same(fit("whole", callbacks=callbacks()), fit(resume=True, callbacks=callbacks()))


def _killed_when_saved(root, audio, step):
    save = LastCheckpoint._save

    def save_and_die(self, trainer):
        save(self, trainer)
        if trainer.global_step == step:
            kill()

    LastCheckpoint._save = save_and_die
    broken(Path(root), audio, At(None, -1))


@pytest.mark.parametrize("step", [6, 7, 9])
def test_killed_as_soon_as_a_checkpoint_is_there(unbroken, tmp_path, audio_folder, group, step):
    """Before validation (6), at the end of an epoch (7), and before Lightning logs the step (9)."""
    statuses, logs = group(1, _killed_when_saved, str(tmp_path), str(audio_folder), step).wait()
    assert statuses == [-signal.SIGKILL], logs
    assert_the_same(unbroken, resume(tmp_path, audio_folder), missing=1)


def test_interrupted_after_a_validation_among_accumulated_batches(fit):
    def fail():
        raise RuntimeError("interrupted")

    class AtFourthBatch(At):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            if (trainer.current_epoch, batch_idx) == (1, 3):
                self.act()

    options = {"accumulate_grad_batches": 2, "val_check_interval": 3, "max_epochs": 2}
    assert isinstance(fit(callbacks=[AtFourthBatch(fail, -1)], **options).error, RuntimeError)
    assert_the_same(fit("whole", **options), fit(resume=True, **options))


def test_the_best_checkpoint_resumes_too(fit):
    whole = fit(keep=9, every=1)
    second = sorted((whole.folder / "checkpoints").glob("best-*"))[1]
    resumed = fit("again", resume=str(second))
    assert same_weights(whole, resumed)


@pytest.mark.parametrize("batch_size", [1, 4])
def test_another_batch_size_takes_the_other_crops(fit, monkeypatch, batch_size):
    seen = []
    step = SeqUNetModule.training_step

    def recorded(self, batch, batch_idx):
        if self.current_epoch == 0:
            seen.extend(zip(batch.recordings.tolist(), batch.starts.tolist(), strict=True))
        return step(self, batch, batch_idx)

    monkeypatch.setattr(SeqUNetModule, "training_step", recorded)
    fit(max_steps=4)
    resumed = fit(resume=True, data={"batch_size": batch_size}, max_epochs=2)
    assert resumed.error is None
    assert len(seen) == len(set(seen)) == 13  # all crops of the epoch, each once
    assert resumed.trainer.current_epoch == 2
    assert len(resumed.curve("val/bits_per_sample")) == 2  # one of each epoch


@pytest.mark.parametrize(("batch_size", "limit", "steps"), [(1, 1.0, EPOCH + 13), (4, 3, 3 + 3)])
def test_another_batch_size_after_an_epoch(fit, batch_size, limit, steps):
    fit(max_epochs=1, limit_train_batches=limit)
    resumed = fit(resume=True, data={"batch_size": batch_size}, max_epochs=2, limit_train_batches=limit)
    assert resumed.error is None
    assert resumed.trainer.global_step == steps
    assert len(resumed.curve("val/bits_per_sample")) == 2


@pytest.mark.parametrize(
    ("steps", "options"),
    [
        (EPOCH, {}),
        (5, {"check_val_every_n_epoch": None, "val_check_interval": 4}),
        # Lightning refuses to clip in mixed precision for optimizers that unscale gradients themselves
        (5, {"accumulate_grad_batches": 2, "precision": "bf16-mixed", "gradient_clip_val": 1.0}),
        (EPOCH, {"limit_val_batches": 0}),
        (5, {"data": {"val_hours": 0.00005, "num_workers": 1}}),
    ],
    ids=str,
)
def test_more_steps_continue_as_unbroken(fit, steps, options):
    options = {"max_epochs": -1, "log_every_n_steps": 3} | options
    fit(max_steps=steps, **options)
    assert_the_same(fit("whole", max_steps=12, **options), fit(resume=True, max_steps=12, **options))


def test_ends_of_epochs_one_after_the_other(fit):
    """A run that resumes at an epoch's end saves counters that Lightning resumes as well."""
    for number, epochs in enumerate((1, 2, 3)):
        fit(resume=number > 0, max_epochs=epochs)
    assert_the_same(fit("whole", max_epochs=-1, max_steps=26), fit(resume=True, max_epochs=-1, max_steps=26))
