"""The WANDB_ variables have the meaning of W&B's documentation."""

import logging
import os

import pytest
import wandb

from sequnet_pl.training.health import library_message
from sequnet_pl.training.loggers import wandb_logger


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WANDB_MODE", "offline")


def arguments(folder):
    logger = wandb_logger(folder, "sequnet-run", "sequnet")
    assert logger is not None
    return logger._wandb_init


@pytest.mark.parametrize(
    ("variable", "argument"),
    [("PROJECT", "project"), ("NAME", "name"), ("RUN_GROUP", "group"), ("DIR", "dir"), ("RUN_ID", "id")],
)
def test_variables_replace_the_defaults(tmp_path, monkeypatch, variable, argument):
    monkeypatch.setenv(f"WANDB_{variable}", "mine")
    assert arguments(tmp_path)[argument] == "mine"


@pytest.mark.parametrize(
    ("variable", "value"),
    [("RUN_ID", "a/b"), ("RUN_ID", " "), ("PROJECT", "a/b"), ("RESUME", "mine"), ("SILENT", "so")],
)
def test_a_value_that_wandb_refuses_is_not_kept(tmp_path, monkeypatch, variable, value):
    kept = arguments(tmp_path)["id"]
    monkeypatch.setenv(f"WANDB_{variable}", value)
    with pytest.raises((wandb.errors.UsageError, ValueError)) as caught:
        wandb_logger(tmp_path, "sequnet-run", "sequnet")
    message = library_message(caught.value)
    assert message is not None and str(message).startswith("W&B: ")
    monkeypatch.delenv(f"WANDB_{variable}")
    assert arguments(tmp_path)["id"] == kept


def test_disabled_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert wandb_logger(tmp_path, "sequnet-run", "sequnet") is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "http://no-such-host.invalid"])
def test_a_server_out_of_reach_is_one_warning_and_an_offline_run(tmp_path, monkeypatch, caplog, url):
    monkeypatch.setattr("wandb.login", lambda prompt, verify: True)
    monkeypatch.setattr(wandb.setup().settings, "base_url", url)
    monkeypatch.setenv("WANDB_MODE", "online")
    with caplog.at_level(logging.WARNING):
        assert arguments(tmp_path)["mode"] == "offline"
    (warned,) = caplog.messages
    assert url in warned and "offline" in warned
