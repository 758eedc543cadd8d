"""A folder of short recordings."""

from pathlib import Path

import pytest
from small_stores import noise


@pytest.fixture
def five(tmp_path: Path) -> list[Path]:
    return [noise(tmp_path / f"music/{i}.wav", 0.3 - 0.02 * i, seed=i) for i in range(5)]
