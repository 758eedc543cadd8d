"""train.py, and the settings that its command lines result in."""

from collections.abc import Callable

import pytest
import yaml


@pytest.fixture
def run(run_train: Callable[[str], tuple[int, str]]) -> Callable[[str], tuple[int, str]]:
    return run_train


@pytest.fixture
def settings(run: Callable[[str], tuple[int, str]]) -> Callable[[str], dict]:
    """Return the settings that --print_config prints for a command line."""

    def settings(line: str) -> dict:
        status, text = run(f"{line} --print_config")
        assert status == 0, text
        return yaml.safe_load(text)

    return settings
