"""The training benchmark runs, and writes what it has measured."""

import argparse
import json
import multiprocessing
from pathlib import Path

import torch

from benchmarks import steps, training
from benchmarks.steps import Measured, Way
from benchmarks.training import main


def test_a_row_of_one_way(tmp_path, capsys):
    options = ["--networks=sequnet-small", "--batches=1", "--output_sizes=64", "--precisions=float32"]
    main([*options, "--seconds=0.01", "--rounds=1", "--threads=1", f"--json={tmp_path / 'rows.json'}"])
    assert "s/step" in capsys.readouterr().out
    (row,) = json.loads((tmp_path / "rows.json").read_text())["rows"]
    assert (row["network"], row["output_size"], row["batch"], row["way"]) == ("sequnet-small", 64, 1, "plain")
    assert min(row["seconds"], row["gflop"], row["predicted_per_second"]) > 0


def test_a_way_that_has_no_memory_is_a_row_that_says_so(monkeypatch):
    """On a GPU ways come one after the other, the published code first and last, and none ends the others."""

    class Measuring:
        def __init__(self, way, arguments):
            self.way, self.turns = way, []
            self.error = "out of memory" if way.precision == "bf16-mixed" else ""
            self.first = Measured(64, 2.0, 0.1, 100.0 if way.reference else 50.0)

        def turn(self):
            ended.append(self.way.name)
            self.turns += [] if self.error else [next(times)]

        def end(self):
            ended.append("end")

    monkeypatch.setattr(training, "Runner", Measuring)
    ended, times = [], iter([4.0, 6.0, 1.0, 1.0, 5.0, 5.0])
    ways = [Way("sequnet", 64, 1, "float32", "plain", 1, Path("copy"))]
    ways += [Way("sequnet", 64, 1, precision, "plain", 1, None) for precision in ("float32", "bf16-mixed")]
    arguments = argparse.Namespace(device="cuda", rounds=2)
    rows = training.measure(ways, {"float32": 1.0, "bf16-mixed": 1.0}, arguments)
    once = ["published"] * 2 + ["end"]
    assert ended == once + ["plain", "plain", "end"] * 2 + once
    assert [row.time_of_published for row in rows] == [1.0, 0.2, None, 1.0]
    assert rows[1].memory_of_published == 0.5
    assert rows[2].error == "out of memory"
    assert "out of memory" in "".join(str(cell) for column in training.table(rows).columns for cell in column.cells)


def test_what_a_process_lacks_memory_for_is_said(monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB")

    monkeypatch.setattr(steps, "step_of", full)
    here, there = multiprocessing.Pipe()
    steps.serve(Way("sequnet-small", 64, 1, "float32", "plain", 1, None), "cpu", 0, 1, 0, there)
    assert here.recv() == "out of memory"
