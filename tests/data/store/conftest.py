"""A folder of short recordings."""

from pathlib import Path

import pytest
from small_stores import noise


@pytest.fixture
def five(tmp_path: Path) -> list[Path]:
    return [noise(tmp_path / f"music/{number}.wav", 0.3 - 0.02 * number, seed=number) for number in range(5)]
