"""Many runs on one page: which are found, their scores, and their clips."""

import html
import json
import re
from pathlib import Path

import pytest
import yaml
from browser import Browser
from run_folders import SUMMARY, make_run

from sequnet_pl.errors import UsageError
from sequnet_pl.report.compare import differing, find_runs, main, write_comparison
from sequnet_pl.report.scores import NETWORK


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """Two runs, the second one better, tested and evaluated; the first has W&B's files in it."""
    folder = tmp_path / "logs"
    make_run(folder / "sequnet" / "one", steps=100, samplings=1)
    other = make_run(folder / "wavenet" / "two & <b>", samplings=2)
    (other / "run.json").write_text(json.dumps(SUMMARY | {"network": "wavenet", "parameters": 1234}))
    config = yaml.safe_load((other / "config.yaml").read_text())
    config["model"] = {"class_path": "x.WaveNetModule", "init_args": {"layers": 3}}
    (other / "config.yaml").write_text(yaml.safe_dump(config | {"name": "two"}))
    (other / "test.json").write_text(json.dumps({"bits_per_sample": {NETWORK: 2.875}, "accuracy": 0.25, "step": 150}))
    sound = {"measures": {"log_mel_frechet": {"distance": {"generated": {"value": 57.6, "error": 1.25}}}}}
    (other / "evaluation").mkdir()
    (other / "evaluation" / "evaluation.json").write_text(json.dumps(sound))
    wandb = folder / "sequnet" / "one" / "wandb" / "offline-run-1" / "files"
    wandb.mkdir(parents=True)
    (wandb / "config.yaml").write_text("{}")
    return folder


TWO = "wavenet/two & <b>"


def page_of(logs: Path) -> str:
    write_comparison(logs / "compare.html", find_runs([logs]))
    return (logs / "compare.html").read_text(encoding="utf-8")


def rows(text: str, number: int) -> list[list[str]]:
    """The cells of a table of the page."""
    table = text.split('<table class="runs">')[1 + number].split("</table>")[0]
    lines = [re.split(r"<t[hd][^>]*>", row)[1:] for row in table.split("<tr>")[1:]]
    return [[" ".join(html.unescape(re.sub("<[^>]*>", " ", cell)).split()) for cell in line] for line in lines]


def test_runs_are_found_at_any_depth_but_not_in_runs(logs: Path) -> None:
    one, two = logs / "sequnet" / "one", logs / "wavenet" / "two & <b>"
    assert find_runs([logs]) == [one, two]
    assert find_runs([two, logs / "sequnet", two.parent / "." / two.name]) == [two, one]


def test_what_cannot_be_compared_is_one_line(logs: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for paths, message in (
        ([logs / "none"], "holds none"),
        ([logs, tmp_path / "empty"], "holds none"),
        ([logs / "sequnet"], "nothing to compare"),
    ):
        with pytest.raises(UsageError, match=message):
            find_runs(paths)


def test_scores_come_first_with_their_steps_the_best_run_on_top(logs: Path) -> None:
    head, *found = rows(page_of(logs), 0)
    best, other = (dict(zip(head, row, strict=True)) for row in found)
    assert head[:3] == ["run", "validation", "test"]
    assert best["run"] == f"● {TWO}" and other["run"] == "● sequnet/one"
    assert best["validation"] == "3.025 step 200" and other["validation"] == "3.051 step 100"
    assert best["test"] == "2.875 step 150" and other["test"] == "–"
    assert best["accuracy"] == "25.00 %" and other["accuracy"] == "–"
    assert best["sound, dB"] == "57.6 ± 1.2" and other["sound, dB"] == "–"
    assert best["network"] == "WaveNet" and best["parameters"] == "1,234" and other["audio"] == "59.4 min"


def test_only_settings_that_differ_are_shown(logs: Path) -> None:
    head, *found = rows(page_of(logs), 1)
    assert found[0][0] == f"● {TWO}"
    best, other = (dict(zip(head[1:], row[1:], strict=True)) for row in found)
    assert best == {"model": "WaveNetModule", "layers": "3", "levels": "–"}
    assert other == {"model": "SeqUNetModule", "layers": "–", "levels": "5"}


def test_the_same_prompt_is_shown_from_each(logs: Path) -> None:
    def shown() -> list[str]:
        found = re.findall(r"<p>after ([^<]*)</p>|<h3>(.*?)\s*</h3>", page_of(logs))
        return [html.unescape(source or name) for source, name in found]

    assert shown() == ["a", TWO, "sequnet/one"]  # the recording is of another prompt
    for listed in logs.rglob("clips.json"):
        listed.write_text(listed.read_text().replace('"source": "a"', '"source": "music/a.flac, 1 s"'))
    assert shown() == ["a.flac, 1 s", "recording", TWO, "sequnet/one"]


def test_what_was_learnt_from_other_recordings_is_said(logs: Path) -> None:
    assert "by fingerprint" not in page_of(logs)
    summary = logs / "sequnet" / "one" / "run.json"
    summary.write_text(json.dumps(SUMMARY | {"sample_rate": 4000, "data": {"fingerprint": "other"}}))
    text = page_of(logs)
    assert "different sample rates" in text and "different data (by fingerprint)" in text


def test_many_runs_stand_below_each_other_and_have_colours_of_their_own(tmp_path: Path) -> None:
    for number in range(8):
        folder = make_run(tmp_path / ("ab"[number % 2]) / f"{number // 2}", steps=60, samplings=0)
        config = yaml.safe_load((folder / "config.yaml").read_text())
        config["model"]["init_args"]["levels"] = number
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
    (folder / "metrics.csv").unlink()
    text = page_of(tmp_path)
    table = rows(text, 1)
    assert table[0] == ["run", "levels"] and len(table) == 9
    assert table[-1] == ["● b/3", "7"]  # without metrics
    assert len(set(re.findall(r'<span style="color: ([^"]*)"', text))) == 8


def test_runs_of_which_nothing_is_known_make_a_page_too(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.yaml").write_text("model: [")
        (tmp_path / name / "test.json").write_text("[1")
    text = page_of(tmp_path)
    assert "Nothing has been logged yet" in text and "No two runs continued" in text
    assert "All settings are the same." in text


def test_the_command_prints_the_path_of_its_page(logs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(logs / "sequnet"), str(logs / "wavenet")]) == 0
    assert capsys.readouterr().out == f"{logs / 'compare.html'}\n"


def test_a_setting_is_named_by_its_last_word_if_that_is_unique() -> None:
    one = {"name": "a", "model": {"lr": 1, "same": [1, 2]}, "trainer": {"every": 2, "callbacks": ["EMA"]}}
    two = {"name": "b", "model": {"lr": 2, "same": [1, 2]}, "last": {"every": 3, "none": None}}
    two["trainer"] = {"every": 4, "callbacks": []}
    assert differing([one, two]) == {
        "lr": ["1", "2"],
        "trainer.every": ["2", "4"],
        "callbacks": ["['EMA']", "[]"],
        "last.every": ["–", "3"],
    }


def test_a_data_set_that_a_folder_replaces_is_no_setting() -> None:
    own = {"data": {"dataset": "piano", "audio_dir": "music"}}
    other = {"data": {"dataset": "builtin", "audio_dir": None}}
    assert differing([own, other]) == {"dataset": ["–", "builtin"], "audio_dir": ["music", "–"]}


def test_in_a_browser(browser: Browser, logs: Path) -> None:
    page_of(logs)
    browser.check_page(logs / "compare.html", width=320)
    assert browser.run("all('.plot').map(one => one.children.length > 0)") == [True, False, False]
    ends = browser.run("all('.runs td').slice(0, 3).map(cell => cell.getBoundingClientRect().right)")
    assert max(ends) <= 320  # validation and test
