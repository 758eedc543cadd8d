"""The page of a test, and its tables on the terminal."""

import io
import json
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from browser import Browser
from rich.console import Console

from sequnet_pl.report.scores import (
    NETWORK,
    ConfidenceScore,
    DistanceScore,
    RecordingScore,
    Scores,
    print_scores,
    write_score_page,
)

NASTY = "[bold]</script><img src=x onerror=alert(1)>.wav"


def scores(recordings: int = 120) -> Scores:
    """Made up: the recordings are named by their rank from the best; the third has no score, the worst an odd name."""
    names = [NASTY if index == recordings - 1 else f"{index}.wav" for index in range(recordings)]
    bits = [None if index == 2 else 2 + index / recordings for index in range(recordings)]
    some: dict[str, Any] = {"samples": 100, "bits_per_sample": 4.0, "table_bits_per_sample": 5.0}
    empty = {"samples": 0, "confidence": None, "accuracy": None}
    shares = [index / 20 for index in range(20)]
    return Scores(
        network="sequnet",
        checkpoint="logs/sequnet/run/checkpoints/last.ckpt",
        step=1000,
        store="data/codes/music",
        fingerprint="abc",
        sample_rate=16_000,
        receptive_field=40,
        samples=recordings * 1600,
        bits_per_sample={"uniform baseline": 8.0, "table": 5.5, NETWORK: 3.25},
        accuracy=0.25,
        expected_calibration_error=0.0123,
        table_samples=1000,
        recordings=[
            RecordingScore(name=name, samples=1600, bits_per_sample=value, table_bits_per_sample=5.0)
            for name, value in zip(names, bits, strict=True)
        ],
        distances=[DistanceScore(start=start, end=end, **some) for start, end in pairwise([0, 16, 32, 64, None])],
        calibration=[
            *(
                ConfidenceScore(start=share, end=share + 0.05, samples=100, confidence=share + 0.02, accuracy=share)
                for share in shares[:15]
            ),
            *(ConfidenceScore(start=share, end=share + 0.05, **empty) for share in shares[15:]),
        ],
    )


def charts(path: Path) -> list[dict[str, Any]]:
    found = re.findall(r'<script type="application/json">(.*?)</script>', path.read_text(), re.DOTALL)
    return [json.loads(text) for text in found]


def test_the_ends_are_the_worst_and_the_best() -> None:
    assert [name for name, *_ in scores().ends(2)] == [NASTY, "118.wav", "1.wav", "0.wav"]
    assert scores(4).ends(2) == [
        (NASTY, "0.10", "2.750", "5.000"),
        ("1.wav", "0.10", "2.250", "5.000"),
        ("0.wav", "0.10", "2.000", "5.000"),
    ]


def test_charts_show_the_scores(tmp_path: Path) -> None:
    write_score_page(tmp_path / "test.html", scores())
    distance, recordings, calibration = charts(tmp_path / "test.html")
    baseline, network, field = distance["series"]
    assert [x * 16_000 for x in network["x"]] == pytest.approx([8, 16, 32, 64, 1600], rel=1e-4)
    assert network["y"][:4] == [4.0] * 4 and baseline["y"][:4] == [5.0] * 4
    assert field["name"] == "receptive field, 0.0025 s" and field["x"] == [0.0025] * 2 and field["y"] == [4.0, 5.0]
    ranked = recordings["series"][1]["y"]
    assert ranked == sorted(ranked) and len(ranked) == 119
    assert len(calibration["series"][2]["x"]) == 15  # bins with samples


def test_a_test_that_found_nothing_is_drawn_too(tmp_path: Path) -> None:
    """As of a network that gives NaN, for one short recording."""
    nothing = RecordingScore(name="a.wav", samples=10, bits_per_sample=None, table_bits_per_sample=None)
    start = DistanceScore(start=0, end=None, samples=10, bits_per_sample=None, table_bits_per_sample=None)
    bits = {"uniform baseline": 8.0, "table": None, NETWORK: None}
    odd = replace(
        scores(), recordings=[nothing], distances=[start], calibration=[], bits_per_sample=bits, accuracy=None
    )
    write_score_page(tmp_path / "test.html", odd)
    print_scores(Console(file=io.StringIO()), odd)


def test_names_are_text_and_nothing_is_linked(tmp_path: Path) -> None:
    write_score_page(tmp_path / "test.html", scores())
    assert [path.name for path in tmp_path.iterdir()] == ["test.html"]
    text = (tmp_path / "test.html").read_text()
    assert "<td>3.250</td>" in text
    body = text[text.index("<main>") : text.index("</main>")]
    assert not re.search(r"(src|href)=\"(?!data:|#)", body) and "<img" not in body


def test_the_terminal_names_the_worst_and_the_best() -> None:
    console = Console(file=io.StringIO(), width=120)
    print_scores(console, scores())
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    for text in (NASTY, "118.wav", "117.wav", "3.wav", "1.wav", "0.wav", "3.250", "accuracy 25.00 %", "error 1.23 %"):
        assert text in printed
    assert "116.wav" not in printed


def test_in_a_browser(browser: Browser, tmp_path: Path) -> None:
    write_score_page(tmp_path / "test.html", scores())
    browser.check_page(tmp_path / "test.html", width=320, dark=True)
    assert browser.run("all('.plot').length") == 3
