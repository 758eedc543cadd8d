"""The local report follows a run, shows what it was warned of, and never ends it."""

import logging

import pytest
import pytorch_lightning as pl

from sequnet_pl.report.run import write_report
from sequnet_pl.training.module import SeqUNetModule
from sequnet_pl.training.reporting import RunReport, warnings_noted
from sequnet_pl.training.sampling import SampleAudio


@pytest.fixture
def reported(fit, tmp_path):
    """A run with a report, in the folder that `fit` uses."""

    def run(*callbacks, **options):
        folder = tmp_path / "run"
        report = RunReport(folder, folder / "checkpoints")
        return fit(callbacks=[*callbacks, report], **options)

    return run


def test_it_tells_its_age_while_the_run_trains_and_not_after(reported, tmp_path, monkeypatch):
    pages = []

    class Look(pl.Callback):
        def on_train_end(self, trainer, pl_module):  # of a report that was made before
            pages.append((tmp_path / "run" / "report.html").read_text(encoding="utf-8"))

    sampler = SampleAudio(every_n_steps=2, every_n_epochs=0, seconds=0.01, continuations=0, second_temperature=None)
    run = reported(sampler, Look(), max_steps=3, limit_val_batches=0)
    pages.append((run.folder / "report.html").read_text(encoding="utf-8"))
    write_report(run.folder)  # made again by hand it knows that too
    pages.append((run.folder / "report.html").read_text(encoding="utf-8"))
    assert ['<b data-written="' in page for page in pages] == [True, False, False]
    monkeypatch.setattr(SeqUNetModule, "training_step", lambda *_: 1 / 0)
    assert isinstance(reported(max_steps=3).error, ZeroDivisionError)
    assert '<b data-written="' not in (run.folder / "report.html").read_text(encoding="utf-8")


def test_a_report_that_fails_is_one_warning(reported, monkeypatch, caplog):
    def fail(folder):
        raise RuntimeError("no fonts")

    monkeypatch.setattr("sequnet_pl.training.reporting.write_report", fail)
    monkeypatch.setattr("sequnet_pl.training.reporting.write_facts", fail)
    run = reported()
    assert run.error is None
    assert run.trainer.global_step == 21
    assert caplog.text.count("the report of this run could not be written") == 1


def test_warnings_are_kept_with_the_run(tmp_path):
    for text in ("slow\ndata", "100 % of <b>"):
        with warnings_noted(tmp_path):
            logging.getLogger("sequnet_pl.training.health").warning(text)
            logging.getLogger("sequnet_pl.training.health").info("nothing odd")
            logging.getLogger("other").warning("not ours")
    logging.getLogger("sequnet_pl").warning("after the run")
    lines = (tmp_path / "warnings.txt").read_text().splitlines()
    assert [line[20:] for line in lines] == ["slow data", "100 % of <b>"]
