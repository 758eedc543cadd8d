"""Numbers as text."""

import pytest

from sequnet_pl.evaluate.comparison import MEASURES, SETS, Estimate, Result
from sequnet_pl.evaluate.results import distances, means


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (12.345, 0.234, "12.3 ± 0.2"),
        (153.4, 2.4, "153 ± 2"),
        (1234.5, 120.0, "1234 ± 120"),
        (0.00123, 0.0000456, "0.001 ± 0.000"),
        (0.0, 0.0, "0"),
        (3.2, float("nan"), "3.20"),
        (float("nan"), float("nan"), "–"),
    ],
)
def test_distances(value: float, error: float, text: str) -> None:
    estimates = {name: Estimate(value, error) for name in SETS}
    assert distances(Result(MEASURES[0], estimates, {}, {})) == [text] * 3


def test_means() -> None:
    values = {"generated": 1234.5, "real": -19.0, "noise": float("nan")}
    missing = {"generated": 0, "real": 2, "noise": 4}
    assert means(Result(MEASURES[3], {}, values, missing)) == ["1234", "-19.0 (2 without)", "– (4 without)"]
