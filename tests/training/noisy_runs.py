"""Runs that depend on every random state, and what they have left behind."""

import csv
import random

import numpy as np
import pytorch_lightning as pl
import torch
from short_runs import run_fit, same_weights

from sequnet_pl.training.checkpoints import Run, best_of
from sequnet_pl.training.measures import Measures

EPOCH = 7  # steps


class Noise(pl.Callback):
    """Makes the run depend on all random states of the process, in validation too."""

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        for parameter in pl_module.parameters():
            pass

    def on_validation_batch_start(self, *_):
        torch.rand(()), random.random(), np.random.rand()  # noqa: NPY002


def callbacks(*more):
    return [Measures(), *more]


def noisy_fit(root, audio, name="run", *more, **options):
    """A run of so many steps; three of them make a row, where nothing else is said."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    defaults = {"log_every_n_steps": 3, "max_epochs": -1}
    return run_fit(root, audio, name, callbacks=callbacks(*more), **defaults | options)


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
