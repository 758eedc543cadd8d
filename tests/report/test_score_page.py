"""The page of a test, its pictures, and what stands on the terminal."""

import io
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from sequnet_pl.errors import UserError
from sequnet_pl.report.chart import Chart
from sequnet_pl.report.score_charts import calibration_chart, distance_chart, recordings_chart
from sequnet_pl.report.score_page import write_score_page
from sequnet_pl.report.score_table import print_scores
from sequnet_pl.report.scores import NETWORK, ConfidenceScore, DistanceScore, RecordingScore, Scores

if TYPE_CHECKING:
    from tests.report.conftest import Browser

NASTY = "[bold]</script><img src=x onerror=alert(1)>.wav"


def scores(recordings: int = 120) -> Scores:
    """Made up: the recordings are named by their rank from the best; the third has no score, the worst an odd name."""
    names = [NASTY if index == recordings - 1 else f"{index}.wav" for index in range(recordings)]
    edges = [0, 16, 32, 64]
    confidences = [(index / 20, 1000 // (index + 1) if index < 15 else 0) for index in range(20)]
    return Scores(
        network="sequnet",
        checkpoint="logs/sequnet/run/checkpoints/last.ckpt",
        step=1000,
        store="data/codes/music",
        fingerprint="abc",
        sample_rate=16_000,
        receptive_field=40,
        samples=recordings * 1600,
        bits_per_sample={"uniform guess": 8.0, "table": 5.5, NETWORK: 3.25},
        accuracy=0.25,
        expected_calibration_error=0.0123,
        table_samples=1000,
        recordings=[
            RecordingScore(
                name=name,
                samples=1600,
                bits_per_sample=None if index == 2 else 2 + index / recordings,
                table_bits_per_sample=5.0,
            )
            for index, name in enumerate(names)
        ],
        distances=[
            DistanceScore(start=start, end=end, samples=100, bits_per_sample=4.0, table_bits_per_sample=5.0)
            for start, end in zip(edges, [*edges[1:], None], strict=True)
        ],
        calibration=[
            ConfidenceScore(
                start=start,
                end=start + 0.05,
                samples=samples,
                confidence=start + 0.02 if samples else None,
                accuracy=start if samples else None,
            )
            for start, samples in confidences
        ],
    )


def heights(chart: Chart, name: str) -> list[float]:
    return next(curve.points[1] for curve in chart.curves if curve.name == name).tolist()


def test_the_ends_are_the_worst_and_the_best() -> None:
    worst, best = scores().ends(2)
    assert [one.name for one in worst + best] == [NASTY, "118.wav", "1.wav", "0.wav"]
    assert [one.name for one in scores(4).ends(2)[0]] == [NASTY, "1.wav", "0.wav"]
    assert scores(4).ends(2)[1] == []


def test_charts_show_the_scores() -> None:
    ranked = heights(recordings_chart(scores()), NETWORK)
    assert ranked == sorted(ranked) and len(ranked) == 119
    chart = distance_chart(scores())
    assert chart.curves[1].points[0] * 16_000 == pytest.approx([8, 16, 32, 64, 1600])
    assert heights(chart, NETWORK)[:4] == [4.0] * 4


def test_bins_of_few_samples_are_drawn_pale_and_apart() -> None:
    chart = calibration_chart(scores())
    counts = [one.samples for one in scores().calibration if one.samples]
    enough = [count for count in counts if count >= 100]
    assert 0 < len(enough) < len(counts)
    firm, weak = chart.curves[2:]
    assert not firm.fades and firm.points.shape[1] == len(enough)
    assert weak.fades and weak.points.shape[1] == len(counts) - len(enough) and "fewer than 100" in weak.name


def test_a_test_that_found_nothing_is_drawn_too(tmp_path: Path) -> None:
    """As of a network that gives NaN, for one short recording."""
    nothing = RecordingScore(name="a.wav", samples=10, bits_per_sample=None, table_bits_per_sample=None)
    start = DistanceScore(start=0, end=None, samples=10, bits_per_sample=None, table_bits_per_sample=None)
    bits = {"uniform guess": 8.0, "table": None, NETWORK: None}
    odd = replace(
        scores(), recordings=[nothing], distances=[start], calibration=[], bits_per_sample=bits, accuracy=None
    )
    write_score_page(tmp_path / "test.html", odd)
    print_scores(Console(file=io.StringIO()), odd)


def test_page_and_pictures(tmp_path: Path) -> None:
    write_score_page(tmp_path / "test.html", scores())
    for name in ("distance", "recordings", "calibration"):
        assert (tmp_path / f"test-{name}.png").read_bytes().startswith(b"\x89PNG")
    text = (tmp_path / "test.html").read_text()
    assert text.count('role="img"') == 3
    assert "<td>3.250</td>" in text.replace(' class="number"', "")
    assert not re.search(r"(src|href)=\"(?!data:|#)", text)
    assert "<b>" not in text and "<img" not in text


def test_a_page_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot"):
        write_score_page(tmp_path / "file" / "test.html", scores())


def test_the_terminal_names_the_worst_and_the_best() -> None:
    console = Console(file=io.StringIO(), width=120)
    print_scores(console, scores())
    said = console.file.getvalue()  # type: ignore[attr-defined]
    for text in (NASTY, "118.wav", "117.wav", "3.wav", "1.wav", "0.wav", "3.250", "accuracy 25.00 %", "error 1.23 %"):
        assert text in said
    assert "116.wav" not in said


@pytest.mark.parametrize(("width", "dark"), [(390, False), (1200, True)])
def test_it_renders_in_any_width(browser: "Browser", tmp_path: Path, width: int, dark: bool) -> None:
    write_score_page(tmp_path / "test.html", scores())
    browser.open(tmp_path / "test.html", width=width, dark=dark)
    browser.run("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    assert browser.run("document.documentElement.scrollWidth") <= width
    assert browser.run("[...document.querySelectorAll('.plot svg')].every(one => one.clientHeight > 150)")
    assert {address.split(":")[0] for address in browser.requests} <= {"file", "data"}
    assert browser.errors == []
