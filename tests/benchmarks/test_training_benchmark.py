"""The training benchmark runs, and writes what it has measured."""

import argparse
import json
import multiprocessing
from pathlib import Path

import torch

from benchmarks import training
from benchmarks.training import First, Row, Runner, Variant, main


def test_a_row_of_one_variant(tmp_path, capsys):
    options = ["--networks=sequnet-small", "--batches=1", "--output_sizes=64", "--precisions=float32"]
    main([*options, "--seconds=0.01", "--rounds=1", "--threads=1", f"--json={tmp_path / 'rows.json'}"])
    assert "s/step" in capsys.readouterr().out
    (row,) = json.loads((tmp_path / "rows.json").read_text())["rows"]
    assert (row["network"], row["output_size"], row["batch"], row["variant"]) == ("sequnet-small", 64, 1, "plain")
    assert min(row["seconds"], row["predicted_per_second"]) > 0


def test_a_variant_without_memory_is_a_row_with_the_reason(monkeypatch):
    """On a GPU variants run one after the other, the published code first and last, and none ends the others."""

    class Fake(Runner):
        def __init__(self, variant, arguments):
            self.variant, self.turns = variant, []
            self.error = "out of memory" if variant.option == "compile" else ""
            self.first = First(64, 0.1, 100.0 if variant.reference else 50.0)

        def turn(self):
            calls.append(self.variant.name)
            self.turns += [] if self.error else [next(times)]

        def end(self):
            calls.append("end")

    monkeypatch.setattr(training, "Runner", Fake)
    calls, times = [], iter([4.0, 6.0, 1.0, 1.0, 5.0, 5.0])
    variants = [Variant("sequnet", 64, 1, "float32", "plain", Path("copy"))]
    variants += [Variant("sequnet", 64, 1, "float32", option, None) for option in ("plain", "compile")]
    rows = training.measure(variants, argparse.Namespace(device="cuda", rounds=2))
    published = ["published"] * 2 + ["end"]
    assert calls == [*published, "plain", "plain", "end", "compile", "compile", "end", *published]
    assert [row.time_of_published for row in rows] == [1.0, 0.2, None, 1.0]
    assert rows[1].memory_of_published == 0.5
    assert isinstance(rows[2], Row) and rows[2].error == "out of memory"
    assert "out of memory" in "".join(str(cell) for column in training.table(rows).columns for cell in column.cells)


def test_a_process_reports_that_memory_is_lacking(monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB")

    monkeypatch.setattr(training, "step_of", full)
    here, there = multiprocessing.Pipe()
    training.serve(Variant("sequnet-small", 64, 1, "float32", "plain", None), "cpu", 1, there)
    assert here.recv() == "out of memory"
