"""Runs that learn from shares of several folders, one of them a long file that is cut in time."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from short_runs import run_fit, same_weights

WEIGHTS = {"audio_weights": [1, 3], "sample_rate": 1000, "hop_size": 1000}


@pytest.fixture
def folders(tmp_path: Path) -> list[str]:
    for number, (name, seconds) in enumerate({"long/a": 22, "short/1": 1, "short/2": 0.7, "short/3": 1.2}.items()):
        path = tmp_path / f"{name}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, np.random.default_rng(number).uniform(-0.5, 0.5, round(seconds * 1000)), 1000)
    return [str(tmp_path / "long"), str(tmp_path / "short")]


def test_a_run_goes_on_at_the_very_next_batch(fit, tmp_path: Path, folders: list[str]) -> None:
    options = {"data": WEIGHTS, "max_epochs": -1}
    whole = run_fit(tmp_path, folders, "whole", max_steps=17, **options)
    run_fit(tmp_path, folders, max_steps=11, **options)
    resumed = run_fit(tmp_path, folders, go_on=True, max_steps=17, **options)
    assert resumed.error is None and whole.error is None
    assert resumed.curve("train/bits_per_sample") == whole.curve("train/bits_per_sample")
    assert same_weights(whole, resumed)
    assert whole.trainer.current_epoch > 1, "an epoch ends between"
    assert not same_weights(whole, run_fit(tmp_path, folders, "even", max_steps=17, max_epochs=-1, data=EVEN))


EVEN = WEIGHTS | {"audio_weights": None}


def learn(root: str, folders: list[str], world: int) -> None:
    """Learn in float64 with a global batch of four."""
    data = WEIGHTS | {"batch_size": 4 // world}
    run = run_fit(root, folders, f"world-{world}", data=data, devices=world, precision="64-true", max_epochs=2)
    if run.error:
        raise run.error


def test_two_processes_learn_as_one_does(tmp_path: Path, folders: list[str], group) -> None:
    learn(str(tmp_path), folders, 1)
    statuses, logs = group(2, learn, str(tmp_path), folders, 2).wait()
    assert statuses == [0, 0], logs
    one, two = (torch.load(tmp_path / f"world-{world}/checkpoints/last.ckpt", weights_only=True) for world in (1, 2))
    assert one["global_step"] == two["global_step"]
    assert one["AudioDataModule"] == two["AudioDataModule"]
    for name, value in one["state_dict"].items():
        torch.testing.assert_close(two["state_dict"][name], value, rtol=0, atol=1e-9)
