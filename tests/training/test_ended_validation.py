"""A run that is ended while it is validated at its end goes on as if it had not been."""

import os
import signal
from pathlib import Path

import pytest
import pytorch_lightning as pl
from noisy_runs import EPOCH, assert_the_same, files, noisy_fit

from sequnet_pl.training import saving


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


class InValidation(pl.Callback):
    """Does something at the first batch of the validation after so many steps."""

    def __init__(self, step, act):
        self.step, self.act = step, act

    def on_validation_batch_start(self, trainer, *_):
        if trainer.global_step == self.step:
            self.act()


def _killed(root, audio, place, steps, options=None):
    """Killed in the last validation, as soon as its row is there, or as soon as the best checkpoint is."""
    if place == "row":
        saving.BestCheckpoint.save_at_end = lambda *_: kill()
    if place == "best":
        save = saving.BestCheckpoint.save_at_end
        saving.BestCheckpoint.save_at_end = lambda *args: (save(*args), kill())
    defaults = {"max_steps": steps, "val_check_interval": 4}
    more = [InValidation(steps, kill)] if place == "batch" else []
    noisy_fit(Path(root), audio, "run", *more, **defaults | (options or {}))


@pytest.mark.parametrize("steps", [5, EPOCH])
@pytest.mark.parametrize("place", ["batch", "row", "best"])
def test_killed_in_it_is_validated_when_gone_on_with(noisy, tmp_path, audio_folder, group, place, steps):
    statuses, logs = group(1, _killed, str(tmp_path), str(audio_folder), place, steps).wait()
    assert statuses == [-signal.SIGKILL], logs
    options = {"val_check_interval": 4}
    whole = noisy("whole", max_steps=steps, **options)
    for _ in range(2):  # and not once more
        resumed = noisy("run", go_on=True, max_steps=steps, **options)
        assert resumed.error is None
        assert_the_same(whole, resumed)
    assert_the_same(noisy("longer", max_steps=9, **options), noisy("run", go_on=True, max_steps=9, **options))


@pytest.mark.parametrize("steps", [4, EPOCH])
def test_killed_in_a_check_at_the_last_step(noisy, tmp_path, audio_folder, group, steps):
    """Which Lightning would never do, since no step is left."""
    options = {"val_check_interval": 4 if steps == 4 else 1.0}
    statuses, logs = group(1, _killed, str(tmp_path), str(audio_folder), "batch", steps, options).wait()
    assert statuses == [-signal.SIGKILL], logs
    whole, resumed = noisy("whole", max_steps=steps, **options), noisy("run", go_on=True, max_steps=steps, **options)
    assert_the_same(whole, resumed)
    assert len([name for name in files(resumed) if "best" in name]) == 1
    assert_the_same(noisy("longer", max_steps=9, **options), noisy("run", go_on=True, max_steps=9, **options))


def test_killed_in_it_and_gone_on_with_for_more_steps(noisy, tmp_path, audio_folder, group):
    group(1, _killed, str(tmp_path), str(audio_folder), "batch", 5, {"val_check_interval": 1.0}).wait()
    assert_the_same(noisy("whole", max_steps=9), noisy("run", go_on=True, max_steps=9))


def test_terminated_in_it(noisy):
    run = noisy("run", InValidation(5, lambda: signal.raise_signal(signal.SIGTERM)), max_steps=5)
    assert run.error.code == 143
    resumed = noisy("run", go_on=True, max_steps=5)
    assert_the_same(noisy("whole", max_steps=5), resumed)
