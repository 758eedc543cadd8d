"""Numbers as text."""

import pytest

from sequnet_pl.evaluate.comparison import MEASURES, SETS, Comparison, Estimate, Result
from sequnet_pl.evaluate.results import distances, means, verdict


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


@pytest.mark.parametrize(
    ("generated", "text"),
    [
        (14.5, "As near to the recordings as other recordings are: 14.5 of 154 dB, real 13.0"),
        (60.0, "Nearer to the recordings than to noise: 60.0 of 154 dB, real 13.0"),
        (100.0, "Nearer to noise than to the recordings: 100 of 154 dB, real 13.0"),
        (170.0, "No nearer to the recordings than noise is: 170 of 154 dB, real 13.0"),
    ],
)
def test_verdict(generated: float, text: str) -> None:
    estimates = {"generated": Estimate(generated, 1.0), "real": Estimate(13.0, 1.0), "noise": Estimate(154.0, 2.0)}
    found = Comparison(4, 4096, 8000, {"first": Result(MEASURES[0], estimates, {}, {})}, {})
    assert verdict(found) == f"{text} (log-mel Fréchet distance)"
