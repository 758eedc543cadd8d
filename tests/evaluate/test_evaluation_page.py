"""The page of an evaluation in a browser."""

from pathlib import Path

import numpy as np
import pytest
from browser import Browser

from sequnet_pl.evaluate.comparison import compare, noise_like
from sequnet_pl.evaluate.results import write_evaluation_page
from sequnet_pl.report.clip import PageClip

RATE = 8000


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tones with noise against tones; half of the generated clips are silent."""
    time = np.arange(RATE) / RATE
    real = np.stack([0.3 * np.sin(2 * np.pi * pitch * time) for pitch in range(220, 620, 50)]).astype(np.float32)
    generated = (real[1::2] + noise_like(real[1::2], seed=0)) * np.array([[1], [0], [1], [0]], np.float32)
    pairs = [
        [
            PageClip(name=name, samples=samples, rate=RATE)
            for name, samples in (("generated, a<b>", one), ("real", other))
        ]
        for one, other in zip(generated[:2], real[1::2], strict=False)
    ]
    path = tmp_path_factory.mktemp("evaluation") / "evaluation.html"
    found = compare(generated, real, RATE, resamples=10)
    write_evaluation_page(path, "Clips & recordings", found, {"step": 3}, "python -m sequnet_pl.evaluate", pairs)
    return path


@pytest.mark.parametrize(("width", "dark"), [(320, True), (1280, False)])
def test_in_a_browser(browser: Browser, page: Path, width: int, dark: bool) -> None:
    browser.check_page(page, width, dark)
    assert browser.run("[all('.plot').length, all('audio').length]") == [2, 4]
    assert "50% of the generated clips are silent" in browser.run("document.body.innerText")
    assert browser.run("all('h3').map(one => one.textContent.trim())").count("generated, a<b> silent") == 1
