import html
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from matplotlib.image import imread
from run_folders import FACTS, add_sampling, make_run

from sequnet_pl.errors import UsageError
from sequnet_pl.report.run import link_page, write_report
from sequnet_pl.report.sampled import read_sampling

if TYPE_CHECKING:
    from tests.report.conftest import Browser


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_run(tmp_path_factory.mktemp("logs") / "sequnet" / "my & run")
    write_report(folder)
    return folder


@pytest.fixture
def text(run: Path) -> str:
    return (run / "report.html").read_text(encoding="utf-8")


def plain(text: str) -> str:
    return html.unescape(re.sub(r"<(?:script|style|svg).*?</(?:script|style|svg)>|<[^>]*>", "", text, flags=re.DOTALL))


def test_the_page_says_what_the_run_is(text: str) -> None:
    for words in (
        "my & run, Seq-U-Net: report",
        "logged until step 200",
        "3.025 bits per sample, step 200",
        "26,900,000 parameters",
        "1,234.5 ms",
        "2.5 h, recordings: 3",
        "f00d",
        FACTS["commit"],
        "python train.py --ckpt_path last",
        "2026-01-01 00:00:00 <b>a batch takes 9 ms to load",
        "audio_dir: /home/me/music",
    ):
        assert str(words) in plain(text)


def test_all_curves_are_there(run: Path, text: str) -> None:
    titles = re.findall(r'role="img" aria-label="([^"]*)"', text)
    assert titles == [
        "bits per sample over steps",
        "bits per sample over hours of audio",
        "bits per sample over time",
        "codes, real and generated",
        "learning rate",
        "gradient norm",
        "speed",
        "waiting for data",
        "memory",
    ]
    assert re.findall(r'<label for="over-\d">([^<]*)', text) == ["steps", "hours of audio", "time"]
    assert imread(run / "curves.png").shape[1] == 2280


def test_the_newest_clips_are_embedded_and_earlier_ones_linked(text: str) -> None:
    assert "What does it sound like at step 300?" in text
    assert len(re.findall(r'<audio [^>]*src="data:audio/flac', text)) == 3
    links = re.findall(r'href="(samples/[^"]*)"', text)
    assert [link for link in links if "step-00000300" not in link] == [
        f"samples/step-{step:08d}/{name}.wav"
        for step in (100, 200)
        for name in ("continuation-0", "recording-0", "silence-1")
    ]
    assert re.findall(r'badge warns"[^>]*>([^<]+)', text.split("Earlier samplings")[0]) == ["loop"]
    names = [re.findall(r"<b(?: class=\"before\")?>(\w+)</b>", card) for card in text.split('class="card"')[1:]]
    assert names == [["prompt", "generated", "prompt", "recording"], []]  # side by side


def test_long_runs_have_small_reports(run: Path, tmp_path: Path) -> None:
    folder = make_run(tmp_path / "long", steps=100_000, samplings=2)
    short = (run / "report.html").stat().st_size
    for step in range(300, 10_000, 100):
        place = folder / "samples" / f"step-{step:08d}"
        shutil.copytree(folder / "samples" / "step-00000100", place)
        content = json.loads((place / "clips.json").read_text())
        (place / "clips.json").write_text(json.dumps(content | {"step": step}))
    write_report(folder)
    assert (folder / "report.html").stat().st_size < 1.6 * short
    assert "40 of 98" in (folder / "report.html").read_text(encoding="utf-8")


def test_runs_with_less_have_reports_too(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("model: [")
    write_report(tmp_path)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Nothing has been logged yet" in text
    assert "until step" not in text
    add_sampling(tmp_path, 5)
    (tmp_path / "samples" / "step-00000009").mkdir()
    (tmp_path / "samples" / "step-00000009" / "clips.json").write_text("{")
    write_report(tmp_path)
    assert read_sampling(tmp_path / "samples" / "step-00000009") is None
    with pytest.raises(UsageError, match="no run folder"):
        write_report(tmp_path / "samples")


def test_pages_of_a_run_are_linked_while_they_are_there(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = make_run(tmp_path / "run", steps=20, samplings=0)
    for name in ("test", "clips & more", "gone"):
        (tmp_path / f"{name}.html").touch()
        link_page(folder, name, tmp_path / f"{name}.html")
    (tmp_path / "gone.html").unlink()
    write_report(folder)
    links = re.findall(r'<a href="(\.\.[^"]*)">([^<]*)', (folder / "report.html").read_text(encoding="utf-8"))
    assert links == [("../test.html", "test"), ("../clips%20%26%20more.html", "clips &amp; more")]
    for broken in ("[1", "[1]"):
        (folder / "pages.json").write_text(broken)
        link_page(folder, "test", tmp_path / "test.html")
        assert 'href="../test.html"' in (folder / "report.html").read_text(encoding="utf-8")
    (folder / "run.json").write_text('{"network": "sequnet"}')
    assert not caplog.text
    link_page(folder, "test", tmp_path / "test.html")  # a failure ends nothing
    assert "does not link" in caplog.text


def test_the_command_makes_it_again_without_torch(run: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(run, tmp_path / "run")
    (folder / "report.html").unlink()
    code = (
        "import sys; from sequnet_pl.report.run.__main__ import main; status = main(sys.argv[1:]); "
        "assert 'torch' not in sys.modules; sys.exit(status)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, f"{folder / 'report.html'}\n"), done.stderr
    wrong = [sys.executable, "-m", "sequnet_pl.report.run", str(tmp_path)]
    done = subprocess.run(wrong, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert "no run folder" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(("width", "dark"), [(390, True), (1200, False)])
def test_it_renders_and_plays(browser: "Browser", run: Path, width: int, dark: bool) -> None:
    browser.open(run / "report.html", width=width, dark=dark)
    assert browser.run("document.documentElement.scrollWidth") <= width
    charts = "[...document.querySelectorAll('.plot svg')].map(chart => chart.getBoundingClientRect().width)"
    shown = [width for width in browser.run(charts) if width]
    assert len(shown) == 7 and min(shown) > 250  # two wait behind the switch
    durations = browser.run("""Promise.all([...document.querySelectorAll("audio")].map(audio => new Promise(done => {
      audio.addEventListener("loadedmetadata", () => done(audio.duration), {once: true});
      audio.preload = "auto";
      audio.load();
    })))""")
    assert [round(seconds) for seconds in durations] == [2, 2, 2]
    address = browser.run("[...document.querySelectorAll('td a')].map(link => link.href)[0]")
    assert address == (run / "samples" / "step-00000100" / "continuation-0.wav").as_uri()
    assert {request.split(":")[0] for request in browser.requests} <= {"file", "data"}
    assert browser.errors == []
