import html
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from browser import DRAWN, Browser
from run_folders import SUMMARY, add_sampling, make_run

from sequnet_pl.errors import UsageError
from sequnet_pl.report.run import link_page, write_report
from sequnet_pl.report.run_folder import mark_training, read_sampling


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_run(tmp_path_factory.mktemp("logs") / "sequnet" / "my & run")
    write_report(folder)
    return folder


@pytest.fixture
def text(run: Path) -> str:
    return (run / "report.html").read_text(encoding="utf-8")


def plain(text: str) -> str:
    tags = r"<(?:script|style|svg).*?</(?:script|style|svg)>|<[^>]*>"
    return " ".join(html.unescape(re.sub(tags, "", text, flags=re.DOTALL)).split())


def test_the_page_describes_the_run(text: str) -> None:
    for words in (
        "my & run, Seq-U-Net: report",
        "logged until step 200",
        "3.025 bits per sample, step 200",
        "26,900,000 parameters",
        "1,234.5 ms",
        "2.5 h, recordings: 3",
        "f00d",
        SUMMARY["commit"],
        "python train.py --ckpt_path last",
        "2026-01-01 00:00:00 <b>a batch takes 9 ms to load",
        "audio_dir: /home/me/music",
    ):
        assert str(words) in plain(text)


def test_all_charts_are_there(text: str) -> None:
    titles = re.findall(r'<figure class="chart" aria-label="([^"]*)"', text)
    assert titles == [
        "bits per sample",
        "bits per sample",
        "bits per sample",
        "codes, real and generated, % of the samples",
        "learning rate",
        "gradient norm",
        "speed",
        "waiting for data",
        "memory",
    ]
    assert re.findall(r'aria-pressed="[^"]*">([^<]*)', text) == ["steps", "hours of audio", "time"]


def test_the_newest_clips_are_embedded_and_earlier_ones_linked(text: str) -> None:
    assert "Clips at step 300" in text
    assert len(re.findall(r'<audio [^>]*src="data:audio/wav', text)) == 3
    links = re.findall(r'href="(samples/[^"]*)"', text)
    assert [link for link in links if "step-00000300" not in link] == [
        f"samples/step-{step:08d}/{name}.wav"
        for step in (100, 200)
        for name in ("continuation-0", "recording-0", "silence-1")
    ]
    assert re.findall(r'class="badge">([^<]+)', text) == ["loop"]
    names = [re.findall(r"<b style[^>]*>(\w+)</b>", card) for card in text.split('class="card"')[1:]]
    assert names == [["prompt", "generated", "prompt", "recording"], []]  # side by side


def test_long_runs_have_small_reports(run: Path, tmp_path: Path) -> None:
    folder = make_run(tmp_path / "long", steps=100_000, samplings=2)
    short = (run / "report.html").stat().st_size
    for step in range(300, 10_000, 100):
        step_folder = folder / "samples" / f"step-{step:08d}"
        shutil.copytree(folder / "samples" / "step-00000100", step_folder)
        content = json.loads((step_folder / "clips.json").read_text())
        (step_folder / "clips.json").write_text(json.dumps(content | {"step": step}))
    write_report(folder)
    assert (folder / "report.html").stat().st_size < 1.2 * short
    assert "40 of 98" in (folder / "report.html").read_text(encoding="utf-8")


def test_runs_with_less_have_reports_too(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("model: [")
    write_report(tmp_path)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Nothing has been logged yet" in text
    add_sampling(tmp_path, 5)
    (tmp_path / "samples" / "step-00000009").mkdir()
    (tmp_path / "samples" / "step-00000009" / "clips.json").write_text("{")
    write_report(tmp_path)
    assert read_sampling(tmp_path / "samples" / "step-00000009") is None
    with pytest.raises(UsageError, match="is not a run folder"):
        write_report(tmp_path / "samples")


def test_a_run_whose_summary_could_not_be_written_has_a_report(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", steps=20, samplings=0)
    (folder / "run.json").unlink()
    mark_training(folder, now=False)  # as at the end of each run
    write_report(folder)
    assert "logged until step 20" in plain((folder / "report.html").read_text(encoding="utf-8"))


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


def test_the_commands_write_pages_without_torch(run: Path, tmp_path: Path) -> None:
    folders = [shutil.copytree(run, tmp_path / name) for name in ("one", "two")]
    (folders[0] / "report.html").unlink()
    code = (
        "import sys; from sequnet_pl.report import compare, run; run.main(sys.argv[1:2]); "
        "compare.main([*sys.argv[1:], '--out', 'page.html']); assert 'torch' not in sys.modules"
    )
    words = [sys.executable, "-c", code, *map(str, folders)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"{folders[0] / 'report.html'}\npage.html\n"), done.stderr
    assert (folders[0] / "report.html").is_file() and (tmp_path / "page.html").is_file()


@pytest.mark.parametrize(("width", "dark"), [(320, True), (1280, False)])
def test_in_a_browser(browser: Browser, run: Path, width: int, dark: bool) -> None:
    browser.check_page(run / "report.html", width, dark)
    widths = "all('.plot').map(plot => plot.firstElementChild?.getBoundingClientRect().width ?? 0)"
    drawn = browser.run(widths)
    assert len(drawn) == 9 and all(0.5 * min(width, 500) < each <= width for each in drawn if each)
    assert [number for number, each in enumerate(drawn) if not each] == [1, 2]  # hidden
    browser.run("all('.switch button')[2].click()")
    browser.run(DRAWN)
    assert [number for number, each in enumerate(browser.run(widths)) if not each] == [0, 1]
    before = browser.run("(paint = all('.chart')[2].querySelector('.plot').firstElementChild, true)")
    scheme = {"name": "prefers-color-scheme", "value": "light" if dark else "dark"}
    browser.call("Emulation.setEmulatedMedia", features=[scheme])
    browser.run(DRAWN)
    assert before and browser.run("all('.chart')[2].querySelector('.plot').firstElementChild !== paint")
    assert browser.errors == []


def test_the_pointer_reads_values(browser: Browser, run: Path) -> None:
    browser.open(run / "report.html", height=8000)
    browser.run(DRAWN)
    box = browser.run(
        "(box => [box.left, box.top, box.width, box.height])(document.querySelector('.plot').getBoundingClientRect())"
    )
    x, y = box[0] + box[2] - 20, box[1] + box[3] / 2
    browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=x - 5, y=y)
    browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
    browser.run(DRAWN)
    assert browser.run("all('output', all('.chart')[0]).map(one => one.textContent)") == [
        *("", ""),  # the baselines
        *("3.025", "3.025", "3.5", "199"),
    ]
    codes = "all('.chart')[3]"
    browser.run(f"readValues({codes}, JSON.parse({codes}.querySelector('script').textContent), 101.6)")
    recordings, generated, _ = browser.run(f"all('output', {codes}).map(one => one.textContent)")
    assert float(recordings) > 0 and generated == "–"  # a code that no clip has
    assert browser.errors == []


def test_the_report_of_a_run_that_is_training_reloads(browser: Browser, tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", steps=20, samplings=0)
    (folder / "run.json").write_text(json.dumps(SUMMARY | {"training": True}))
    write_report(folder)
    hurry = "const wait = setInterval; window.setInterval = (act, time) => wait(act, time / 60);"
    script = browser.call("Page.addScriptToEvaluateOnNewDocument", source=hurry)["identifier"]
    try:
        browser.open(folder / "report.html")
        browser.wait_for_load()
    finally:
        browser.call("Page.removeScriptToEvaluateOnNewDocument", identifier=script)
