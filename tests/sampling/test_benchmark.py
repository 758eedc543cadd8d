"""The sampling benchmark runs, and writes its rows."""

import json

import pytest
import torch

from benchmarks.sampling import has_row, main
from sequnet_pl.errors import UserError


def test_rows_of_all_engines(tmp_path, capsys):
    options = ["--clips", "1", "2", "--seconds", "0.01", "--rounds", "1", "--weights", "float32", "--labels"]
    main(["--networks", "wavenet-small", *options, "--json", str(tmp_path / "rows.json")])
    assert "real time" in capsys.readouterr().out
    rows = json.loads((tmp_path / "rows.json").read_text())["rows"]
    assert sum(row["labelled"] for row in rows) == len(rows) / 2 == 4
    assert all(row["steps_per_second"] > 0 and row["times_published"] is None for row in rows)


def test_a_folder_that_is_no_copy_is_an_error(tmp_path):
    with pytest.raises(UserError, match=r"no sequnet_res\.py"):
        main(["--networks", "sequnet-small", "--reference", str(tmp_path)])


def test_weights_that_no_engine_has_are_an_error():
    with pytest.raises(UserError, match="none of these engines"):
        main(["--networks", "sequnet-small", "--engines", "eager", "--weights", "bf16"])


def test_a_gpu_has_rows_of_the_kernel_and_of_graphs():
    def rows(clips):
        kinds = [(engine, weights) for engine in ("cuda", "graphs") for weights in ("float32", "bf16", "int8")]
        return [kind for kind in kinds if has_row(*kind, clips, "cuda")]

    assert rows(1) == [("cuda", "float32"), ("cuda", "bf16"), ("graphs", "float32")]
    assert rows(16) == [("graphs", "float32")]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
def test_rows_of_a_gpu(tmp_path):
    options = ["--clips", "1", "16", "--seconds", "0.01", "--rounds", "1", "--device", "cuda"]
    main(["--networks", "sequnet-small", "wavenet-small", *options, "--json", str(tmp_path / "rows.json")])
    assert len(json.loads((tmp_path / "rows.json").read_text())["rows"]) == 8
