"""The training benchmark runs, and writes what it has measured."""

import argparse
import json
from concurrent.futures import Future

import pytest
import torch

from benchmarks import training
from benchmarks.training import Row, main


def test_a_row_of_one_variant(tmp_path, capsys):
    options = ["--networks=sequnet-small", "--batches=1", "--output_sizes=64", "--precisions=float32"]
    main([*options, "--seconds=0.01", "--rounds=1", "--threads=1", f"--json={tmp_path / 'rows.json'}"])
    assert "predicted per second" in capsys.readouterr().out
    (row,) = json.loads((tmp_path / "rows.json").read_text())["rows"]
    assert (row["network"], row["output_size"], row["batch"], row["variant"]) == ("sequnet-small", 64, 1, "plain")
    assert min(row["seconds"], row["predicted_per_second"]) > 0


def test_ratios_are_those_of_rounds_and_a_variant_without_memory_is_a_row_with_the_reason(monkeypatch):
    """Variants of a GPU run one after the other, those of a CPU in turns; `work` runs in this process."""

    class Pool:
        def __init__(self, *_):
            self.row = None

        def submit(self, work, *arguments):
            future = Future()
            if work is training.prepare:
                self.row = arguments[0]
                if self.row.variant == "compile":
                    future.set_exception(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB"))
                else:
                    future.set_result((64, 0.1, 100.0 if self.row.variant == "published" else 50.0))
            else:
                calls.append(self.row.variant)
                future.set_result(next(times[self.row.variant]))
            return future

        def shutdown(self):
            pass

    monkeypatch.setattr(training, "ProcessPoolExecutor", Pool)
    for device, order in (("cuda", ["published"] * 2 + ["plain"] * 2), ("cpu", ["published", "plain"] * 2)):
        calls, times = [], {"published": iter([4.0, 6.0]), "plain": iter([1.0, 1.2])}
        rows = [Row("sequnet", variant, "float32", 64, 1) for variant in ("published", "plain", "compile")]
        training.measure(rows, argparse.Namespace(device=device, rounds=2, threads=1, seconds=0.1, reference="copy"))
        assert calls == order
        assert [row.time_of_published for row in rows] == pytest.approx([1.0, 0.225, None])
        assert rows[1].memory_of_published == 0.5
        assert rows[2].error == "out of memory"
