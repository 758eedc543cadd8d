"""Measures that are logged beside the scores: right values, continued by a resumed run, without its pauses."""

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from sequnet_pl.report.charts import REFERENCES
from sequnet_pl.training import metrics as references
from sequnet_pl.training.health import NonFinite
from sequnet_pl.training.measures import Measures
from sequnet_pl.training.sampling import SampleAudio
from tests.codes import codes_of_split

CLOCKS = ("hours_heard", "wall_hours")


class Samples(pl.Callback):
    def __init__(self):
        self.samples = [0]

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.samples.append(self.samples[-1] + int(batch.valid.sum()))


def test_each_score_is_in_a_row_with_what_it_is_drawn_over(fit):
    seen = Samples()
    run = fit(callbacks=[Measures(), seen])
    assert run.error is None
    for score, count in (("train/bits_per_sample", 21), ("val/bits_per_sample", 3)):
        found = [row for row in run.rows if row[score]]
        assert len(found) == count
        assert all(row[name] for row in found for name in (*CLOCKS, *REFERENCES))
    hours = {int(row["step"]): float(row["hours_heard"]) for row in run.rows if row["hours_heard"]}
    assert hours == pytest.approx({n: samples / 16_000 / 3600 for n, samples in enumerate(seen.samples[1:])})
    wall = [float(row["wall_hours"]) for row in run.rows if row["wall_hours"]]
    assert wall == sorted(wall) and wall[0] > 0
    for name in ("speed/samples_per_second", "speed/memory_gib"):
        assert all(float(value) > 0 for value in run.curve(name).values())
    waits = [float(value) for value in run.curve("speed/data_wait").values()]
    assert waits[0] == 0 < waits[1] < 1  # the first batch, for which workers are started, is left out


def test_hours_of_a_resumed_run_continue(fit):
    stopped = fit(max_steps=9, callbacks=[Measures()])
    before = stopped.last["callbacks"]["Measures"]
    resumed = fit(resume=True, callbacks=[Measures()], max_epochs=2)
    whole = fit("whole", callbacks=[Measures()], max_epochs=2)
    hours = [[(row["step"], row["hours_heard"]) for row in run.rows if row["hours_heard"]] for run in (resumed, whole)]
    assert hours[0] == hours[1]
    wall = [float(row["wall_hours"]) for row in resumed.rows if row["wall_hours"]]
    assert wall == sorted(wall)
    assert wall[-1] * 3600 > before["seconds"]


def test_pauses_do_not_count_as_slow(fit, monkeypatch):
    class Clock(pl.Callback):
        """A step takes a second; a validation and a sampling take a hundred."""

        now = 0.0

        def monotonic(self):
            return self.now

        def on_train_batch_start(self, *_):
            self.now += 1

        def on_validation_start(self, *_):
            self.now += 100

    class Pause(SampleAudio):
        def _make(self, trainer, module, step):
            clock.now += 100

    clock = Clock()
    for module in ("measures", "sampling"):
        monkeypatch.setattr(f"sequnet_pl.training.{module}.time", clock)
    callbacks = [Measures(), Pause(every_n_steps=2, every_n_epochs=0), clock]
    run = fit(callbacks=callbacks, val_check_interval=3, max_epochs=1)
    assert run.error is None
    speeds = [float(value) for value in run.curve("speed/samples_per_second").values()]
    assert speeds == [2 * 256] * 6 + [256]  # thirteen crops
    assert max(float(row["wall_hours"]) for row in run.rows if row["wall_hours"]) == pytest.approx(507 / 3600)


def test_the_gradient_norm_is_that_before_clipping(fit):
    norms = []

    class Look(pl.Callback):
        def on_before_optimizer_step(self, trainer, pl_module, optimizer):
            norms.append(torch.cat([p.grad.flatten() for p in pl_module.parameters()]).norm().item())

    run = fit(callbacks=[NonFinite(), Look()], gradient_clip_val=0.01)
    assert [float(value) for value in run.curve("train/gradient_norm").values()] == pytest.approx(norms, rel=1e-4)


def test_references_are_the_bits_of_the_tables(fit):
    data = fit(callbacks=[Measures()], max_steps=2).trainer.datamodule
    train, val = data.splits["train"], data.splits["val"]
    counts = np.bincount(codes_of_split(train), minlength=256) + 1.0
    single = -np.log2(counts / counts.sum())[codes_of_split(val)].mean()
    whole = references.references(data)
    assert whole["reference/single_codes"] == pytest.approx(single, abs=1e-5)
    assert 0 < whole["reference/code_triples"] != whole["reference/code_pairs"] < 8
    np.testing.assert_array_equal(references.code_counts(val), np.bincount(codes_of_split(val), minlength=256))


def test_slow_loading_is_logged_once(fit, caplog):
    class Slow(pl.Callback):
        def on_train_batch_start(self, trainer, *_):
            trainer.train_dataloader.waited += 100.0

    fit(callbacks=[Slow(), Measures()])
    assert caplog.text.count("try more --num_workers") == 1


def test_the_count_of_an_older_checkpoint_continues():
    measures = Measures()
    measures.load_state_dict({"heard": 12, "seconds": 3.0})
    assert measures.state_dict()["samples_seen"] == 12
