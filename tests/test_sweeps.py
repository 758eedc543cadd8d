"""The sweeps of configs/sweeps/: what W&B's own agent makes of them is a command line that train.py takes."""

import subprocess
import sys
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import pytest
import wandb.wandb_agent
import yaml

from sequnet_pl.audio.files import write_wav
from sequnet_pl.cli.train import train

PROJECT = Path(__file__).parents[1]
SWEEPS = sorted((PROJECT / "configs" / "sweeps").glob("*.yaml"))


def agent_command(sweep, values, monkeypatch):
    """The command line that an agent runs for these values, and its environment."""
    process = MagicMock()
    monkeypatch.setattr(wandb.wandb_agent, "AgentProcess", process)
    for name in ("WANDB_RUN_ID", "WANDB_SWEEP_PARAM_PATH"):
        monkeypatch.delenv(name, raising=False)  # which the agent sets, and is to be undone
    monkeypatch.setenv("WANDB_SWEEP_ID", "sweep1")
    monkeypatch.setenv("WANDB_DIR", str(Path.cwd()))
    agent = wandb.wandb_agent.Agent.__new__(wandb.wandb_agent.Agent)
    agent._sweep_command, agent._function, agent._in_jupyter = list(sweep["command"]), None, False
    agent._run_processes, agent._forward_signals = {}, False
    arguments = {name: {"value": value} for name, value in values.items()}
    agent._command_run({"run_id": "run1", "program": sweep["program"], "args": arguments})
    monkeypatch.setenv("WANDB_RUN_ID", "run1")
    return process.call_args.kwargs["command"], process.call_args.kwargs["env"]


def ends(sweep):
    """Two runs' values: the first or least of each parameter, and the last or greatest."""
    for index in (0, -1):
        columns = {name: each.get("values") or (each["min"], each["max"]) for name, each in sweep["parameters"].items()}
        yield {name: values[index] for name, values in columns.items()}


@pytest.fixture(params=SWEEPS, ids=lambda path: path.stem)
def sweep(request, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    return yaml.safe_load(request.param.read_text(encoding="utf-8"))


def test_values_are_settings_of_a_run(sweep, monkeypatch, capsys):
    for values in ends(sweep):
        command, _ = agent_command(sweep, values, monkeypatch)
        assert command[:3] == ["/usr/bin/env", "python", "train.py"]
        monkeypatch.chdir(PROJECT)
        assert train([*command[3:], "--gpus=0", "--print_config"]) == 0
        settings = yaml.safe_load(capsys.readouterr().out)
        given = settings["model"]["init_args"] | settings["data"] | settings["trainer"]
        assert {name: given[name] for name in values} == values
        assert settings["best"]["monitor"] == sweep["metric"]["name"]


@pytest.mark.slow
def test_an_agents_command_trains(sweep, monkeypatch, tmp_path):
    values = next(ends(sweep))
    command, environment = agent_command(sweep, values, monkeypatch)
    for split in ("train", "val"):
        write_wav(tmp_path / "music" / split / "a.wav", np.random.default_rng(0).uniform(-0.5, 0.5, 8000), 16_000)
    small = ["--max_steps=1", "--levels=3", "--features=2", "--output_size=64", "--sample_audio.continuations=0"]
    places = [f"--{name}={tmp_path / name}" for name in ("log_dir", "data_dir")] + [f"--audio_dir={tmp_path / 'music'}"]
    words = [sys.executable, *command[2:], "--gpus=0", *small, *places]
    environment |= {"WANDB_MODE": "offline"}
    done = subprocess.run(words, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    (offline,) = (path for path in tmp_path.rglob("offline-run-*") if path.is_dir())
    assert offline.name.endswith("-run1")
    (config,) = tmp_path.rglob("config.yaml")
    settings = yaml.safe_load(config.read_text(encoding="utf-8"))
    given = settings["model"]["init_args"] | settings["data"] | settings["trainer"]
    assert {name: given[name] for name in values} == values
