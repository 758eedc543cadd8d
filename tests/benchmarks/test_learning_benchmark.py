"""Which steps of one setting take as long as those of another."""

import argparse
import sys

import pytest

from benchmarks import learning


def test_steps_are_scaled_by_processor_time(monkeypatch):
    now, cost = [0.0], {("sequnet", "fast"): 0.2, ("sequnet", "fast, norm"): 0.25, ("wavenet", "fast"): 1.0}

    def fitted(network, setting, seed, steps, data, clock):
        now[0] += 9  # what comes before the first step does not count
        for step in range(steps):
            now[0] += cost[network, setting] + (step == 3)  # nor does one step that is slow
            clock.on_train_batch_end()

    monkeypatch.setattr(learning, "fitted", fitted)
    monkeypatch.setattr(learning.time, "process_time", lambda: now[0])
    assert learning.as_many_steps(("sequnet", "fast, norm"), ("sequnet", "fast"), 400, {}) == 320
    assert learning.as_many_steps(("sequnet", "fast, norm"), ("wavenet", "fast"), 400, {}) == 1600
    assert learning.as_many_steps(("sequnet", "fast"), ("sequnet", "fast"), 400, {}) == 400


@pytest.mark.parametrize("text", ["fast", "fast:", "fast:0", "fast:4.5", "slow:400", "", "/fast:4", "net/fast:4"])
def test_what_is_no_setting_and_steps(text):
    with pytest.raises(argparse.ArgumentTypeError, match="fast:400"):
        learning.as_long_as(text)


def test_a_network_may_be_named():
    assert learning.as_long_as("fast, norm:400") == ("", "fast, norm", 400)
    assert learning.as_long_as("wavenet/fast:400") == ("wavenet", "fast", 400)


def test_the_steps_are_those_that_are_made(monkeypatch, tmp_path, capsys):
    made = []
    monkeypatch.setattr(learning, "as_many_steps", lambda way, other, steps, data: steps // 2)
    monkeypatch.setattr(learning, "bits", lambda network, setting, seed, steps, data: made.append(steps) or 3.0)
    words = ["--networks", "sequnet", "--settings", "fast, norm", "--as_long_as", "fast:400"]
    monkeypatch.setattr(sys, "argv", ["learning", *words, "--json", str(tmp_path / "learning.json")])
    learning.main()
    assert made == [200]
    assert "200 steps: 3.000" in capsys.readouterr().out
