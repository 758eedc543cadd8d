"""The local report follows a run, shows what it was warned of, and never ends it."""

import json
import logging
import subprocess

import pytest
import pytorch_lightning as pl

from sequnet_pl.report.run import write_report
from sequnet_pl.training.health import NonFinite
from sequnet_pl.training.measures import Measures
from sequnet_pl.training.module import SeqUNetModule
from sequnet_pl.training.reporting import RunReport, git_commit, warnings_noted
from sequnet_pl.training.sampling import SampleAudio


@pytest.fixture
def reported(fit, tmp_path):
    """A run with a report, in the folder that `fit` uses."""

    def run(*callbacks, **options):
        folder = tmp_path / "run"
        report = RunReport(folder, folder / "checkpoints")
        return fit(callbacks=[*callbacks, report], **options)

    return run


def test_the_report_is_made_when_training_ends(reported):
    run = reported(Measures())
    assert run.error is None
    text = (run.folder / "report.html").read_text(encoding="utf-8")
    assert "logged until step 21" in text
    assert "best validation" in text
    facts = json.loads((run.folder / "run.json").read_text())
    assert (facts["network"], facts["sample_rate"]) == ("sequnet", 16_000)
    assert facts["data"]["splits"]["train"]["recordings"] == 3
    assert facts["data"]["fingerprint"] == run.trainer.datamodule.fingerprint
    assert facts["data"]["fingerprint"] in (run.folder / "checkpoints" / "MODEL.md").read_text(encoding="utf-8")


def test_the_report_reloads_while_the_run_trains_and_not_after(reported, tmp_path, monkeypatch):
    pages = []

    class Look(pl.Callback):
        def on_train_end(self, trainer, pl_module):  # of a report that was made before
            pages.append((tmp_path / "run" / "report.html").read_text(encoding="utf-8"))

    sampler = SampleAudio(every_n_steps=2, every_n_epochs=0, seconds=0.01, continuations=0, second_temperature=None)
    run = reported(sampler, Look(), max_steps=3, limit_val_batches=0)
    pages.append((run.folder / "report.html").read_text(encoding="utf-8"))
    write_report(run.folder)  # made again by hand it knows that too
    pages.append((run.folder / "report.html").read_text(encoding="utf-8"))
    assert ['class="note" data-training' in page for page in pages] == [True, False, False]
    monkeypatch.setattr(SeqUNetModule, "training_step", lambda *_: 1 / 0)
    assert isinstance(reported(max_steps=3).error, ZeroDivisionError)
    assert '<b data-written="' not in (run.folder / "report.html").read_text(encoding="utf-8")


def test_it_is_made_again_with_each_sampling(reported, tmp_path):
    seen = []

    class Look(pl.Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            path = tmp_path / "run" / "report.html"
            seen.append(path.read_text(encoding="utf-8").split("Clips at step ")[1][0] if path.exists() else "")

    sampler = SampleAudio(every_n_steps=2, every_n_epochs=0, seconds=0.01, continuations=0, second_temperature=None)
    run = reported(sampler, Look(), max_steps=6, limit_val_batches=0)
    assert run.error is None
    assert seen == ["", "", "2", "2", "4", "4"]


def test_a_report_that_fails_is_one_warning(reported, monkeypatch, caplog):
    def fail(folder):
        raise RuntimeError("no fonts")

    monkeypatch.setattr("sequnet_pl.training.reporting.write_report", fail)
    monkeypatch.setattr("sequnet_pl.training.reporting.write_summary", fail)
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


def test_a_run_that_breaks_says_so_in_its_report(reported, monkeypatch):
    step = SeqUNetModule.training_step
    monkeypatch.setattr(
        SeqUNetModule, "training_step", lambda self, *args: step(self, *args) * (1 if self.global_step < 5 else 1e999)
    )
    run = reported(NonFinite())
    text = (run.folder / "report.html").read_text(encoding="utf-8")
    assert "ended at step 5: NonFiniteError loss not finite" in text


def test_a_fast_dev_run_leaves_no_report(reported):
    run = reported(SampleAudio(), fast_dev_run=True)
    assert run.error is None
    assert not list(run.folder.parent.rglob("report.html"))
    assert not list(run.folder.parent.rglob("clips.json"))


def test_the_commit_is_that_of_the_project(tmp_path):
    assert git_commit(tmp_path) is None
    (tmp_path / "file").write_text("1")
    for words in ("init -q", "add file", "-c user.name=a -c user.email=b commit -q -m one"):
        subprocess.run(["git", *words.split()], cwd=tmp_path, check=True)
    commit = git_commit(tmp_path)
    assert len(commit) == 12
    (tmp_path / "file").write_text("2")
    assert git_commit(tmp_path) == commit + "+"
    (tmp_path / "below").mkdir()
    assert git_commit(tmp_path / "below") is None
