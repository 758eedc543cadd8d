"""What is read from a run folder: metrics, lists of clips, charts as plain values, and the model card."""

from pathlib import Path

import numpy as np
import pytest
from run_folders import add_sampling, make_run

from sequnet_pl.report.card import write_card
from sequnet_pl.report.charts import codes_chart, codes_figure, measure_charts, score_charts, series, smoothed
from sequnet_pl.report.run_folder import Metrics, read_sampling, thinned


def test_rows_are_read_and_a_cut_line_is_left_out(tmp_path: Path) -> None:
    metrics = Metrics(make_run(tmp_path / "run", samplings=0))
    assert metrics.steps == 200
    assert metrics.names("lr-") == ["lr-Adam/pg1", "lr-Adam/pg2"]
    np.testing.assert_array_equal(metrics.curve("val/bits_per_sample")[0], [49, 99, 149, 199])
    np.testing.assert_array_equal(metrics.curve("val/bits_per_sample", "hours_heard")[0], [0.49, 0.99, 1.49, 1.99])
    assert metrics.best("val/bits_per_sample") == (200, 3 + 5 / 199)
    assert metrics.last("speed/memory_gib") == 2.0


def test_what_was_never_logged_is_empty(tmp_path: Path) -> None:
    for metrics in (Metrics(tmp_path), Metrics(make_run(tmp_path / "run", steps=0, samplings=0))):
        assert metrics.steps == 0
        assert metrics.curve("val/bits_per_sample").shape == (2, 0)
        assert metrics.best("val/bits_per_sample") is metrics.last("lr-Adam/pg1") is None


@pytest.mark.parametrize("count", [0, 1, 300, 301, 100_000])
def test_thinned_curves_are_means(count: int) -> None:
    points = np.random.default_rng(0).random((2, count))
    thin = thinned(points)
    assert thin.shape == (2, min(count, 300))
    if count == 100_000:
        np.testing.assert_allclose(thin.mean(axis=1), points.mean(axis=1), atol=1e-4)
        np.testing.assert_allclose(thin[:, 0], points[:, :333].mean(axis=1))


def test_a_list_of_clips_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    add_sampling(tmp_path, 5)
    folder = tmp_path / "samples" / "step-00000005"
    listed = folder / "clips.json"
    listed.write_text(listed.read_text().replace('"prompt_end"', '"border"'))
    found = read_sampling(folder)
    assert found and [clip.prompt_end for clip in found.clips] == [1, 1, 0]


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
    table = table.replace("lr-Adam/pg2", "lr-Adam/recurrences")
    (folder / "metrics.csv").write_text(table)
    rates = next(measure_charts(Metrics(folder)))
    assert [one["name"] for one in rates["series"]] == ["other weights", "recurrences"]


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


def test_the_card_describes_the_training_without_paths(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", samplings=0)
    (folder / "checkpoints").mkdir()
    for step in (100, 200, 300):  # several are kept; that of the score is named
        (folder / "checkpoints" / f"best-step{step:08d}.ckpt").touch()
    write_card(folder, folder / "checkpoints")
    text = (folder / "checkpoints" / "MODEL.md").read_text(encoding="utf-8")
    for words in (
        "# sequnet run",
        "26,900,000 parameters",
        "fingerprint f00d",
        "train: recordings: 3, 2.5 hours",
        "3.025 bits per sample at step 200",
        "bigram baseline: 5.000",
        f"sample.py --ckpt_path {folder / 'checkpoints' / 'best-step00000200.ckpt'}",
        "levels: 5",
        "batch_size: 16",
        "check that you have the right to",
    ):
        assert words in text
    assert "/home/me/music" not in text
    write_card(tmp_path, tmp_path)  # a folder without anything has a card, too
    assert "last.ckpt" in (tmp_path / "MODEL.md").read_text(encoding="utf-8")
