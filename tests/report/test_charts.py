"""Charts of a run as plain values."""

from pathlib import Path

import numpy as np
import pytest
from run_folders import make_run

from sequnet_pl.report.charts import codes_chart, codes_figure, measure_charts, score_charts, series, smoothed
from sequnet_pl.report.run_folder import Metrics


def test_missing_values_are_null() -> None:
    drawn = series("train", ([0, 1, 2], [1.0, np.nan, 1 / 3]), "red")
    assert drawn["x"] == [0, 1, 2] and drawn["y"] == [1.0, None, 0.333333]


def test_scores_are_drawn_over_each_axis_with_the_baselines(tmp_path: Path) -> None:
    found = dict(score_charts(Metrics(make_run(tmp_path / "run", samplings=0))))
    assert list(found) == ["steps", "hours of audio", "time"]
    for chart in found.values():
        names = [one["name"] for one in chart["series"]]
        assert names[:2] == ["unigram baseline 7.000", "bigram baseline 5.000"]
        assert names[2:] == ["train", "validation", "validation without weight averaging"]
        assert chart["series"][1]["y"] == [5.0, 5.0]


def test_parameter_groups_with_equal_learning_rates_share_a_curve(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", samplings=0)
    rates = next(measure_charts(Metrics(folder)))
    assert [one["name"] for one in rates["series"]] == ["all weights"]
    table = (folder / "metrics.csv").read_text().replace("0.001,0.001", "0.001,0.002", 1)
    (folder / "metrics.csv").write_text(table)
    rates = next(measure_charts(Metrics(folder)))
    assert [one["name"] for one in rates["series"]] == ["Adam/pg1", "Adam/pg2"]


@pytest.mark.parametrize(("count", "curves"), [(10, 1), (1000, 2)])
def test_a_curve_of_many_points_is_smoothed_over_its_faint_values(count: int, curves: int) -> None:
    values = np.random.default_rng(0).normal(3, 1, count)
    drawn = smoothed("train", np.array([np.arange(count), values]), "red")
    assert len(drawn) == curves and drawn[-1]["name"] == "train" and not drawn[-1]["faint"]
    if curves == 2:
        raw, mean = (np.std(one["y"]) for one in drawn)
        assert drawn[0]["faint"] and not drawn[0]["name"] and mean < raw / 2


def test_codes_are_relative_frequencies() -> None:
    real, generated = [0, 3, 1], [1, 0, 1]
    recordings, made = codes_chart(real, generated)["series"]
    assert recordings["y"][:3] == [None, 75, 25] and made["y"][:3] == [50, None, 50]
    (axes,) = codes_figure(real, generated).axes
    assert axes.get_yscale() == "log" and len(axes.lines) == 2
