"""Numbers of an evaluation as text, and its page in a browser."""

from pathlib import Path

import numpy as np
import pytest
from browser import Browser

from sequnet_pl.evaluate.comparison import MEASURES, SETS, Comparison, Estimate, Result, compare, noise_like
from sequnet_pl.evaluate.features import SCALARS
from sequnet_pl.evaluate.results import distances, means, verdict, write_evaluation_page
from sequnet_pl.report.clip import PageClip

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


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tones with noise against tones; half of the generated clips are silent."""
    time = np.arange(8000) / 8000
    real = np.stack([0.3 * np.sin(2 * np.pi * pitch * time) for pitch in range(220, 620, 50)]).astype(np.float32)
    generated = (real[1::2] + noise_like(real[1::2], seed=0)) * np.array([[1], [0], [1], [0]], np.float32)
    pairs = [
        [
            PageClip(name=name, samples=samples, rate=8000)
            for name, samples in (("generated, a<b>", one), ("real", other))
        ]
        for one, other in zip(generated[:2], real[1::2], strict=False)
    ]
    path = tmp_path_factory.mktemp("evaluation") / "evaluation.html"
    found = compare(generated, real, 8000, resamples=10)
    write_evaluation_page(path, "Clips & recordings", found, {"step": 3}, "python -m sequnet_pl.evaluate", pairs)
    return path


def test_in_a_browser(browser: Browser, page: Path) -> None:
    browser.check_page(page, width=320)
    assert browser.run("[all('.plot').length, all('audio').length]") == [2, 4]
    assert "50% of the generated clips are silent" in browser.run("document.body.innerText")
    assert browser.run("all('h3').map(one => one.textContent.trim())").count("generated, a<b> silent") == 1
