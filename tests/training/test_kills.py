"""Runs that are killed at a random moment and resumed end with the weights, averages and optimizer of unbroken ones."""

import random
import signal
from pathlib import Path

import pytest
import torch
from pytorch_lightning.callbacks import EarlyStopping, EMAWeightAveraging
from short_runs import At, flat, run_fit

from sequnet_pl.training.measures import Measures

CASES = {
    "accumulation": {"max_epochs": -1, "max_steps": 20, "accumulate_grad_batches": 2},
    "averaging": {"max_epochs": 5, "callbacks": "EMA"},
    "max_steps": {"max_epochs": -1, "max_steps": 33, "check_val_every_n_epoch": None, "val_check_interval": 4},
    "epochs": {"max_epochs": 5, "val_check_interval": 3},
    "early stopping": {"max_epochs": 5, "callbacks": "stop"},
    "two processes": {"max_epochs": -1, "max_steps": 18, "strategy": "ddp", "devices": 2, "data": {"batch_size": 1}},
}


def options(case):
    """Options of a run, with callbacks of its own."""
    found = dict(CASES[case])
    more = {
        "EMA": lambda: [EMAWeightAveraging(decay=0.9)],
        "stop": lambda: [EarlyStopping("val/bits_per_sample", patience=9)],
    }
    return found | {"callbacks": [Measures(), *more.get(found.get("callbacks"), list)()], "every": 2}


def train(root, audio, name, case, resumes=False, at=None):
    """A run that may be killed by an alarm some time after a step has begun."""
    found = options(case)
    if at:
        step, delay = at
        found["callbacks"].append(At(lambda: signal.setitimer(signal.ITIMER_REAL, delay), step))
    run = run_fit(Path(root), audio, name, resume=resumes, **found)
    if run.error:
        raise run.error


def content(root, name):
    """All of a checkpoint that must not depend on kills."""
    found = torch.load(root / name / "checkpoints" / "last.ckpt", weights_only=True)
    keys = ("state_dict", "optimizer_states", "current_model_state", "averaging_state", "global_step", "epoch")
    stopper = [state for key, state in found["callbacks"].items() if key.startswith("EarlyStopping")]
    return flat({key: found.get(key) for key in keys} | {"early stopping": stopper, "lr": found["lr_schedulers"]})


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_killed_at_random_moments_a_run_ends_as_the_unbroken_one(tmp_path, audio_folder, group, case):
    world = CASES[case].get("devices", 1)
    for kill in range(2):
        at = (random.randrange(4 + 6 * kill, 10 + 6 * kill), random.uniform(1e-4, 0.05))
        statuses, logs = group(world, train, str(tmp_path), str(audio_folder), "run", case, kill > 0, at).wait()
        assert -signal.SIGALRM in statuses, (at, logs)
    for name, resumes in (("run", True), ("whole", False)):
        statuses, logs = group(world, train, str(tmp_path), str(audio_folder), name, case, resumes).wait()
        assert statuses == [0] * world, logs
    assert content(tmp_path, "run") == content(tmp_path, "whole")
