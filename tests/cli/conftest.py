"""train.py run in this process."""

import shlex
import sys
from collections.abc import Callable, Iterator

import pytest
import torch
import yaml

from sequnet_pl.cli.entry_points import train
from sequnet_pl.cli.main import run_main


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Callable[..., tuple[int, str]]]:
    """Run a command line; return its exit status, and what it prints or, where it fails, its line."""
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setattr(sys, "argv", ["train.py"])

    def run(line: str) -> tuple[int, str]:
        capfd.readouterr()
        try:
            status = run_main("train.py", train, shlex.split(line))
        except SystemExit as end:  # after --print_config
            status = int(end.code or 0)
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        lines = [text for text in err.splitlines() if text.startswith("train.py: error: ")]
        assert len(lines) == (status > 0), err
        return status, lines[0] if lines else out

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield run
    torch.set_num_threads(threads)


@pytest.fixture
def settings(run: Callable[..., tuple[int, str]]) -> Callable[..., dict]:
    """Return the settings that --print_config prints for a command line."""

    def settings(line: str) -> dict:
        status, text = run(f"{line} --print_config")
        assert status == 0, text
        return yaml.safe_load(text)

    return settings
