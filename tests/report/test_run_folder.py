from pathlib import Path

import numpy as np
import pytest
from run_folders import add_sampling, make_run

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
