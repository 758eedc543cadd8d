"""What a chart says of its axes, and how it is drawn in a page and as a picture."""

import json
import re
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from sequnet_pl.report.chart import Chart, Curve, Look, few, short
from sequnet_pl.report.drawing import draw, switched
from sequnet_pl.report.figures import figure, save
from tests.report.test_page import NASTY, Content


def chart(values: list[float], look: Look = Look.LINE, **options: object) -> Chart:
    """One curve of these heights at 0, 1, 2 and so on."""
    curve = Curve(name="one", points=np.array([np.arange(len(values)), values], float), colour="#123456", look=look)
    return Chart(**{"title": "bits", "xlabel": "step", "ylabel": "", "curves": [curve]} | options)  # type: ignore[arg-type]


def paths(drawing: str) -> list[str]:
    """Of the plot, without its grid."""
    return re.findall(r'<path d="([^"]*)" fill', drawing.split("<svg viewBox=")[-1])


@pytest.mark.parametrize(
    ("made", "low", "high"),
    [
        (chart([2, 4]), 1.92, 4.08),
        (chart([2, 4], heights={"table": 7.0}), 1.8, 7.2),
        (chart([2, 60], most=8.5), -0.32, 8.5),
        (chart([2, 4], bottom=0, top=5), 0, 5),
        (chart([0.01, 0.01], bottom=0), 0, 0.015),
        (chart([0, 0], bottom=0), 0, 0.5),
        (chart([-1, -1], bottom=0), 0, 1),
        (chart([np.nan, 3, np.inf]), 1.5, 4.5),
        (chart([]), 0, 1),
        (chart([1, 100], log_y=True), 10**-0.08, 10**2.08),
        (chart([0, np.nan], log_y=True), 1, 10),
        (chart([0, 1], rows=["a", "b"]), -0.6, 1.6),
    ],
)
def test_axes_hold_all_that_is_drawn(made: Chart, low: float, high: float) -> None:
    assert made.upwards == pytest.approx((low, high))
    draw(made)
    figure(made)


def test_ticks_are_round_and_few() -> None:
    assert [text for _, text in chart([0, 8]).y_ticks] == ["0", "2", "4", "6", "8"]
    assert [text for _, text in chart([1] * 20001).x_ticks] == ["0", "5k", "10k", "15k", "20k"]
    assert [text for _, text in chart([1, 100], log_y=True).y_ticks] == ["1", "2", "5", "10", "20", "50", "100"]
    many = [place for place, _ in chart([1e-30, 1], log_y=True).y_ticks]
    assert 4 <= len(many) <= 10 and np.allclose(np.log10(many) % 1, 0)
    assert chart([0, 1], rows=["a", "b"]).y_ticks == [(0, "a"), (1, "b")]


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (0.00012, "0.00012"), (999, "999"), (1500, "1.5k"), (2e6, "2M"), (-3000, "-3k")]
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert short(value) == text


def test_of_many_dots_few_are_drawn_and_both_ends() -> None:
    points = np.array([np.arange(5000.0), np.arange(5000.0)])
    assert few(points).shape == (2, 1000) and few(points)[0, [0, -1]].tolist() == [0, 4999]
    assert few(points[:, :7]) is not points and few(points[:, :7]).shape == (2, 7)


def test_curves_lie_where_their_numbers_are() -> None:
    bounds = {"bottom": 0, "top": 4}
    assert paths(draw(chart([4, 0, 2], **bounds)))[0] == "M0.0 0.0L500.0 1000.0L1000.0 500.0"
    assert paths(draw(chart([4, 0, 2], **bounds)))[1] == "M0.0 0.0h0M500.0 1000.0h0M1000.0 500.0h0"  # marks
    assert paths(draw(chart([4, np.nan, 2, 2], Look.STROKE, **bounds))) == ["M0.0 0.0M666.7 500.0L1000.0 500.0"]
    assert paths(draw(chart([4, np.nan, 2, 9], Look.STEPS, **bounds))) == ["M0.0 0.0H333.3M666.7 500.0H1000.0V-1000.0"]
    assert paths(draw(chart([4, np.nan, 2, 9], Look.AREA, **bounds))) == [
        "M0.0 1000V0.0H333.3V1000.0H666.7V500.0H1000.0V1000z"
    ]
    assert paths(draw(chart([1, 1], heights={"table": 3.0}, **bounds)))[0] == "M0 250.0h1000"


def test_the_legend_names_all_and_carries_the_points() -> None:
    drawing = draw(chart([3.14159265, np.nan, 2], heights={"table": 7.0641}, places={"field": (1, "red")}))
    legend = drawing.split('class="legend">')[1].split("</p>")[0]
    texts = [text.strip() for text in Content(legend).texts if text.strip()]
    assert texts == ["one", "table", "7.064", "field"]
    (data,) = re.findall(r'data-points="([^"]*)"', drawing)
    assert json.loads(unescape(data)) == [[0, 2], [3.14159, 2]]
    assert "data-points" not in draw(chart([1.0], rows=["a"]))
    (data,) = re.findall(r'data-points="([^"]*)" data-steps', draw(chart([1, np.nan, 2], Look.STEPS)))
    assert json.loads(unescape(data)) == [[0, 1, 2], [1, None, 2]]


def test_all_text_stays_text() -> None:
    curve = Curve(name=NASTY, points=np.array([[0.0, 1], [0, 1]]), colour=NASTY)
    made = Chart(
        title=NASTY,
        xlabel=NASTY,
        ylabel=NASTY,
        curves=[curve],
        heights={NASTY: 1},
        places={NASTY: (0, NASTY)},
        rows=[NASTY],
    )
    for part in (draw(made, NASTY), switched("over", [(NASTY, made), (NASTY, made)])):
        content = Content(part)
        assert "onerror" not in dict(content.attributes) and not {"script", "img"} & set(content.tags)
        assert NASTY in "".join(content.texts)


def test_pictures_have_two_in_a_row_whatever_their_names(tmp_path: Path) -> None:
    save(tmp_path / "charts.png", *[chart([1, 2], title="costs $5 and $x_{ <b>")] * 3)
    save(tmp_path / "chart.png", chart([1, 2], places={"field": (1, "red")}))
    assert imread(tmp_path / "charts.png").shape == (960, 2280, 4)
    assert imread(tmp_path / "chart.png").shape == (480, 1140, 4)
