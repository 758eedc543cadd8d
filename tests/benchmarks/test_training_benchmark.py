"""The training benchmark runs, and writes what it has measured."""

import json

from benchmarks.training import main


def test_a_row_of_one_way(tmp_path, capsys):
    options = ["--networks=sequnet-small", "--batches=1", "--output_sizes=64", "--precisions=float32"]
    main([*options, "--seconds=0.01", "--rounds=1", "--threads=1", f"--json={tmp_path / 'rows.json'}"])
    assert "s/step" in capsys.readouterr().out
    (row,) = json.loads((tmp_path / "rows.json").read_text())["rows"]
    assert (row["network"], row["output_size"], row["batch"], row["way"]) == ("sequnet-small", 64, 1, "plain")
    assert min(row["seconds"], row["gflop"], row["predicted_per_second"]) > 0
