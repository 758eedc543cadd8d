"""The local report follows a run, shows what it was warned of, and never ends it."""

import logging

from sequnet_pl.training.reporting import RunReport, warnings_noted


def test_a_report_that_fails_is_one_warning(fit, tmp_path, monkeypatch, caplog):
    def fail(folder):
        raise RuntimeError("no fonts")

    monkeypatch.setattr("sequnet_pl.training.reporting.write_report", fail)
    monkeypatch.setattr("sequnet_pl.training.reporting.write_summary", fail)
    run = fit(callbacks=[RunReport(tmp_path / "run", tmp_path / "run" / "checkpoints")])
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
