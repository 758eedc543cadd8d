"""Which steps of one setting take as long as those of another."""

import argparse
import sys
from unittest.mock import MagicMock

import pytest

from benchmarks import learning


def test_steps_are_scaled_by_processor_time(monkeypatch):
    now, cost = [0.0], {("sequnet", "fast"): 0.2, ("sequnet", "sequnet best"): 0.25, ("wavenet", "fast"): 1.0}

    def fitted(network, setting, seed, steps, data, clock):
        now[0] += 9  # what comes before the first step does not count
        for step in range(steps):
            now[0] += cost[network, setting] + (step == 3)  # nor does one step that is slow
            clock.on_train_batch_end()

    monkeypatch.setattr(learning, "fitted", fitted)
    monkeypatch.setattr(learning.time, "process_time", lambda: now[0])
    assert learning.as_many_steps(("sequnet", "sequnet best"), ("sequnet", "fast"), 400, {}) == 320
    assert learning.as_many_steps(("sequnet", "sequnet best"), ("wavenet", "fast"), 400, {}) == 1600
    assert learning.as_many_steps(("sequnet", "fast"), ("sequnet", "fast"), 400, {}) == 400


@pytest.mark.parametrize("text", ["fast", "fast:0", "fast:4.5", "slow:400", "net/fast:400"])
def test_what_is_no_setting_and_steps(text):
    with pytest.raises(argparse.ArgumentTypeError, match=r"fast:400|settings are published, "):
        learning.as_long_as(text)


def test_a_network_may_be_named():
    assert learning.as_long_as("sequnet best, long:400") == ("", "sequnet best, long", 400)
    assert learning.as_long_as("wavenet/fast:400") == ("wavenet", "fast", 400)


@pytest.mark.parametrize(("named", "other"), [("fast:400", "sequnet"), ("wavenet/fast:400", "wavenet")])
def test_the_steps_are_those_that_are_made(monkeypatch, tmp_path, capsys, named, other):
    made, asked = [], []
    monkeypatch.setattr(
        learning, "as_many_steps", lambda way, other, steps, _: asked.append((way, other)) or steps // 2
    )
    monkeypatch.setattr(learning, "bits", lambda network, setting, seed, steps, data: made.append(steps) or 3.0)
    words = ["--networks", "sequnet", "--settings", "sequnet best", "--as_long_as", named]
    monkeypatch.setattr(sys, "argv", ["learning", *words, "--json", str(tmp_path / "learning.json")])
    learning.main()
    assert made == [200]
    assert asked == [(("sequnet", "sequnet best"), (other, "fast"))]
    assert "200 steps: 3.000" in capsys.readouterr().out
    learning.main()  # continued: nothing is timed or made again
    assert len(asked) == len(made) == 1


def test_a_setting_may_be_one_networks_alone(monkeypatch, tmp_path):
    made = []
    monkeypatch.setattr(learning, "bits", lambda network, setting, *_: made.append((network, setting)) or 3.0)
    words = ["--settings", "sequnet/sequnet best", "fast", "--json", str(tmp_path / "learning.json")]
    monkeypatch.setattr(sys, "argv", ["learning", *words])
    learning.main()
    assert made == [("sequnet", "sequnet best"), *((name, "fast") for name in learning.NETWORKS)]


@pytest.mark.parametrize(
    "words", [["--settings", "sequnet best"], ["--settings", "fast", "--as_long_as", "sequnet best:400"]]
)
def test_a_setting_that_a_network_does_not_know_is_one_line(monkeypatch, capsys, words):
    monkeypatch.setattr(sys, "argv", ["learning", "--networks", "sequnet", "wavenet", *words])
    with pytest.raises(SystemExit):
        learning.main()
    assert "wavenet has no depth, which the setting 'sequnet best' needs" in capsys.readouterr().err


def test_batch_size_and_clipping_of_a_setting_are_used(monkeypatch):
    given = {}
    monkeypatch.setattr(learning, "AudioDataModule", lambda **options: given.update(options))
    trainer = MagicMock(side_effect=lambda **options: given.update(options) or MagicMock())
    monkeypatch.setattr(learning.pl, "Trainer", trainer)
    *_, module, _ = learning.fitted("sequnet", "sequnet best", 0, 3, {"batch_size": 4, "output_size": 64})
    assert (given["batch_size"], given["output_size"], given["gradient_clip_val"]) == (1, 64, 1.0)
    assert module.hparams["muon"] == 0.0075
