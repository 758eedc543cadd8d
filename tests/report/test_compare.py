"""Many runs on one page: which are found, what is said of them, and what is heard."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from run_folders import FACTS, make_run

from sequnet_pl.errors import UsageError
from sequnet_pl.report.compare import write_comparison
from sequnet_pl.report.compare.__main__ import main
from sequnet_pl.report.run_set import find_runs
from sequnet_pl.report.scores import NETWORK
from sequnet_pl.report.settings import differing
from tests.report.test_page import Content

if TYPE_CHECKING:
    from tests.report.conftest import Browser


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """Two runs, the second one better, tested and evaluated; the first has W&B's files in it."""
    folder = tmp_path / "logs"
    make_run(folder / "sequnet" / "one", steps=100, samplings=1)
    other = make_run(folder / "wavenet" / "two & <b>", samplings=2)
    (other / "run.json").write_text(json.dumps(FACTS | {"network": "wavenet", "parameters": 1234}))
    config = yaml.safe_load((other / "config.yaml").read_text())
    config["model"] = {"class_path": "x.WaveNetModule", "init_args": {"layers": 3}}
    (other / "config.yaml").write_text(yaml.safe_dump(config | {"name": "two"}))
    (other / "test.json").write_text(json.dumps({"bits_per_sample": {NETWORK: 2.875}, "accuracy": 0.25}))
    sound = {"measures": {"log_mel_frechet": {"distance": {"generated": {"value": 57.6, "error": 1.25}}}}}
    (other / "evaluation").mkdir()
    (other / "evaluation" / "evaluation.json").write_text(json.dumps(sound))
    wandb = folder / "sequnet" / "one" / "wandb" / "offline-run-1" / "files"
    wandb.mkdir(parents=True)
    (wandb / "config.yaml").write_text("{}")
    return folder


def page_of(logs: Path) -> str:
    write_comparison(logs / "compare.html", find_runs([logs]))
    return (logs / "compare.html").read_text(encoding="utf-8")


def rows(text: str, number: int) -> dict[str, list[str]]:
    """The cells of a table of the page, by the first in their row."""
    table = text.split("<table>")[1 + number].split("</table>")[0]
    cells = [
        ["".join(Content(cell).texts) for cell in re.split(r"<t[hd][^>]*>", row)[1:]] for row in table.split("<tr>")
    ]
    return {first.strip(): [cell.strip() for cell in rest] for first, *rest in cells[1:]}


def test_runs_are_found_at_any_depth_but_not_in_runs(logs: Path) -> None:
    one, two = logs / "sequnet" / "one", logs / "wavenet" / "two & <b>"
    assert find_runs([logs]) == [one, two]
    assert find_runs([two, logs / "sequnet", two.parent / "." / two.name]) == [two, one]


def test_what_cannot_be_compared_is_one_line(logs: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for paths, said in (
        ([logs / "none"], "there is no folder"),
        ([logs, tmp_path / "empty"], "holds none"),
        ([logs / "sequnet"], "nothing to compare"),
    ):
        with pytest.raises(UsageError, match=said):
            find_runs(paths)


def test_scores_stand_side_by_side_the_best_first(logs: Path) -> None:
    found = rows(page_of(logs), 0)
    assert found[""] == ["● two & <b>", "● one"]
    assert found["network"] == ["WaveNet", "Seq-U-Net"]
    assert found["parameters"] == ["1,234", "26,900,000"]
    assert found["validation"] == ["3.025", "3.051"] and found["at step"] == ["200", "100"]
    assert found["audio heard"] == ["2.0 h", "59.4 min"]
    assert found["test"] == ["2.875", "–"] and found["accuracy"] == ["25.00 %", "–"]
    assert found["sound, dB"] == ["57.6 ± 1.2", "–"]


def test_only_settings_that_differ_are_shown(logs: Path) -> None:
    found = rows(page_of(logs), 1)
    assert found == {
        "": ["● two & <b>", "● one"],
        "model": ["WaveNetModule", "SeqUNetModule"],
        "layers": ["3", "–"],
        "levels": ["–", "5"],
    }


def test_the_same_prompt_is_heard_from_each(logs: Path) -> None:
    heard = re.findall(r"<p>after ([^<]*)</p>|<h3>(.*?)</h3>", page_of(logs))
    assert [place or name for place, name in heard] == [
        "a",
        "two &amp; &lt;b&gt;",
        "one",
    ]  # the recording is of another
    for listed in logs.rglob("clips.json"):
        listed.write_text(listed.read_text().replace('"source": "a"', '"source": "music/a.flac, 1.00 s"'))
    heard = re.findall(r"<p>after ([^<]*)</p>|<h3>(.*?)</h3>", page_of(logs))
    assert [place or name for place, name in heard] == ["a.flac, 1.00 s", "recording", "two &amp; &lt;b&gt;", "one"]


def test_what_was_learnt_from_other_recordings_is_said(logs: Path) -> None:
    assert "fingerprints" not in page_of(logs)
    place = logs / "sequnet" / "one" / "run.json"
    place.write_text(json.dumps(FACTS | {"sample_rate": 4000, "data": {"fingerprint": "other"}}))
    text = page_of(logs)
    assert "different sample rates" in text and "different recordings, told by their fingerprints" in text


def test_many_runs_stand_below_each_other_and_have_colours_of_their_own(tmp_path: Path) -> None:
    for number in range(8):
        folder = make_run(tmp_path / ("ab"[number % 2]) / f"{number // 2}", steps=60, samplings=0)
        config = yaml.safe_load((folder / "config.yaml").read_text())
        config["model"]["init_args"]["levels"] = number
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
    (folder / "metrics.csv").unlink()
    text = page_of(tmp_path)
    table = rows(text, 1)
    assert table["run"] == ["levels"] and len(table) == 9
    assert table["● b/3"] == ["7"] and next(reversed(table)) == "● b/3"  # nothing is known of it
    assert len(set(re.findall(r'style="color:([^"]*)"', text))) == 8


def test_runs_of_which_nothing_is_known_make_a_page_too(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.yaml").write_text("model: [")
        (tmp_path / name / "test.json").write_text("[1")
    text = page_of(tmp_path)
    assert "Nothing has been logged yet" in text and "No prompt" in text and "Nothing does." in text


def test_the_command_names_its_page_and_needs_no_torch(logs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(logs / "sequnet"), str(logs / "wavenet")]) == 0
    assert capsys.readouterr().out == f"{logs / 'compare.html'}\n"
    code = (
        "import sys; from sequnet_pl.report.compare.__main__ import main; status = main(sys.argv[1:]); "
        "assert 'torch' not in sys.modules; sys.exit(status)"
    )
    words = [sys.executable, "-c", code, str(logs), "--out", str(logs / "mine" / "page.html")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and (logs / "mine" / "page.html").is_file(), done.stderr
    wrong = [sys.executable, "-m", "sequnet_pl.report.compare", str(logs / "none")]
    done = subprocess.run(wrong, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and "there is no folder" in done.stderr and "Traceback" not in done.stderr


def test_settings_are_called_by_their_last_word_where_that_is_clear() -> None:
    callbacks = [{"class_path": "a.Advice"}, {"class_path": "a.EMA", "init_args": {"decay": 0.9}}]
    one = {"name": "a", "model": {"lr": 1, "same": [1, 2]}, "trainer": {"every": 2, "callbacks": callbacks}}
    two = {"name": "b", "model": {"lr": 2, "same": [1, 2]}, "last": {"every": 3, "none": None}}
    two["trainer"] = {"every": 4, "callbacks": callbacks[:1]}
    assert differing([one, two]) == {
        "lr": ["1", "2"],
        "trainer.every": ["2", "4"],
        "EMA": ["EMA", "–"],
        "decay": ["0.9", "–"],
        "last.every": ["–", "3"],
    }


@pytest.mark.parametrize(("width", "dark"), [(390, True), (1200, False)])
def test_it_renders_in_any_width(browser: "Browser", logs: Path, width: int, dark: bool) -> None:
    page_of(logs)
    browser.open(logs / "compare.html", width=width, dark=dark)
    assert browser.run("document.documentElement.scrollWidth") <= width
    assert browser.run("all('.switch .chart').filter(chart => chart.offsetWidth).length") == 1
    link = browser.run("document.querySelector('th a')?.href ?? ''")
    assert link == "" and browser.errors == []  # none of them has a report
