"""The training benchmark runs, and writes what it has measured."""

import argparse
import json
from concurrent.futures import Future
from pathlib import Path

import pytest
import torch

from benchmarks import training
from benchmarks.training import Variant, main


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
            pass

        def submit(self, work, variant, *_):
            future = Future()
            if variant.option == "compile":
                future.set_exception(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB"))
            elif work is training.prepare:
                future.set_result((64, 0.1, 100.0 if variant.reference else 50.0))
            else:
                calls.append(variant.reference is not None)
                future.set_result(next(times[variant]))
            return future

        def shutdown(self):
            pass

    monkeypatch.setattr(training, "ProcessPoolExecutor", Pool)
    shape = ("sequnet", 64, 1, "float32")
    published, plain = Variant(*shape, "plain", Path("copy")), Variant(*shape, "plain", None)
    for device, order in (("cuda", [True, True, False, False]), ("cpu", [True, False] * 2)):
        calls, times = [], {published: iter([4.0, 6.0]), plain: iter([1.0, 1.2])}
        arguments = argparse.Namespace(device=device, rounds=2, threads=1, seconds=0.1)
        rows = training.measure([published, plain, Variant(*shape, "compile", None)], arguments)
        assert calls == order
        assert [row.time_of_published for row in rows] == pytest.approx([1.0, 0.225, None])
        assert rows[1].memory_of_published == 0.5
        assert rows[2].error == "out of memory"
