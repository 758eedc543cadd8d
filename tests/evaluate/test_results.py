"""Numbers as text."""

import pytest

from sequnet_pl.evaluate.comparison import MEASURES, SETS, Comparison, Estimate, Result
from sequnet_pl.evaluate.features import SCALARS
from sequnet_pl.evaluate.results import distances, means, verdict

SILENT = {"generated": 0.25, "real": 0.0, "noise": 0.0}


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
    result = Result(MEASURES[0], {name: Estimate(value, error) for name in SETS}, {}, {})
    found = Comparison(4, 4096, 8000, {"first": result}, {}, SILENT)
    assert distances(found) == [["log-mel Fréchet distance, dB", *[text] * 3]]


def test_means() -> None:
    values = {"generated": 1234.5, "real": -19.0, "noise": float("nan")}
    missing = {"generated": 0, "real": 2, "noise": 4}
    results = {scalar.key: Result(MEASURES[3], {}, values, missing) for scalar in SCALARS}
    cells = ["1234", "-19.0 (2 without)", "– (4 without)"]
    assert means(Comparison(4, 4096, 8000, results, {}, SILENT))[0] == ["spectral centroid, Hz", *cells]


@pytest.mark.parametrize(
    ("generated", "text"),
    [
        (14.5, "As close to the recordings as other recordings: log-mel Fréchet distance 14 ± 1 dB"),
        (60.0, "Closer to the recordings than to noise: log-mel Fréchet distance 60 ± 1 dB"),
        (100.0, "Closer to noise than to the recordings: log-mel Fréchet distance 100 ± 1 dB"),
        (170.0, "Not closer to the recordings than noise: log-mel Fréchet distance 170 ± 1 dB"),
    ],
)
def test_verdict(generated: float, text: str) -> None:
    estimates = {"generated": Estimate(generated, 1.0), "real": Estimate(13.0, 1.0), "noise": Estimate(154.0, 2.0)}
    found = Comparison(4, 4096, 8000, {"first": Result(MEASURES[0], estimates, {}, {})}, {}, SILENT)
    bounds = "other recordings 13 ± 1 dB, noise 154 ± 2 dB"
    assert verdict(found) == f"{text}; {bounds}; 25% of the generated clips are silent, 0% of the recordings"
