"""The figures of the configs: they are estimated, and a small one is trained."""

import shutil
import subprocess

import pytest

from benchmarks import configs


def test_estimates_of_a_network_and_of_finetuning_the_bundled_one(monkeypatch):
    monkeypatch.setattr(configs, "crop_bytes", lambda *_: 2**30)  # see tests/training/test_memory.py
    demo, finetune = configs.estimate("demo"), configs.estimate("finetune")
    assert (demo.parameters, demo.crops, demo.targets) == (365_888, 1, 4096)
    assert finetune.parameters == 3_714_416  # of the bundled network
    assert demo.estimated_gib == 1 + 12 * demo.parameters / 2**30  # weights, gradients and one number of Muon
    assert demo.checkpoint_mb == pytest.approx(8e-6 * demo.parameters)


@pytest.mark.slow  # makes the built-in recordings
def test_a_training_is_measured(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    row = configs.estimate("demo")
    estimated = row.checkpoint_mb
    configs.measure(row, steps=3, threads=1)
    assert row.seconds and row.peak_gib and row.peak_gib > row.estimated_gib
    assert row.checkpoint_mb == pytest.approx(estimated, rel=0.2)


def test_a_path_may_have_spaces(tmp_path, monkeypatch):
    (tmp_path / "my configs").mkdir()
    shutil.copy(configs.CONFIGS / "demo.yaml", tmp_path / "my configs")
    monkeypatch.setattr(configs, "CONFIGS", tmp_path / "my configs")
    commands = []
    failing = subprocess.CompletedProcess([], 3)
    monkeypatch.setattr(subprocess, "run", lambda command: commands.append(command) or failing)
    with pytest.raises(SystemExit):
        configs.measure(configs.Row("demo", 1, 1, 1, 1.0, 1.0), steps=1, threads=1)
    assert tmp_path / "my configs" / "demo.yaml" in commands[0]


def test_an_unknown_config_is_an_error(capsys):
    with pytest.raises(SystemExit):
        configs.main(["none"])
    assert "there is no config none" in capsys.readouterr().err
