"""Pages in a real Chromium, opened from disk: they render, they play, and they complain of nothing."""

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from markupsafe import Markup

from sequnet_pl.report import page
from sequnet_pl.report.chart import Chart, Curve, Look
from sequnet_pl.report.drawing import draw, switched
from sequnet_pl.report.listening import ClipEntry, write_listening_page

if TYPE_CHECKING:
    from tests.report.conftest import Browser

_PLAY_ALL = """(async () => {
  const played = [];
  for (const player of document.querySelectorAll(".player")) {
    const audio = player.querySelector("audio"), head = player.querySelector(".head");
    await new Promise((done, failed) => {
      audio.addEventListener("canplay", done, {once: true});
      audio.addEventListener("error", () => failed(new Error(audio.error.message)), {once: true});
      audio.preload = "auto";
      audio.load();
    });
    await audio.play();
    while (audio.currentTime === 0) await new Promise(done => setTimeout(done, 10));
    const others = [...document.querySelectorAll("audio")].filter(other => other !== audio);
    await new Promise(done => requestAnimationFrame(done));
    played.push([audio.duration, others.every(other => other.paused), parseFloat(head.style.left)]);
  }
  return played;
})()"""


@pytest.fixture(scope="module")
def listening(clips: list[ClipEntry], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("out put") / "index.html"
    write_listening_page(path, "Clips <of> a network", clips)
    return path


def test_every_clip_plays(browser: "Browser", listening: Path) -> None:
    browser.open(listening)
    played = browser.run(_PLAY_ALL)
    assert [round(duration, 3) for duration, _, _ in played] == [2, 2, 31, 0.5, 1]
    assert all(alone for _, alone, _ in played)
    assert all(0 < head <= 100 for _, _, head in played)
    assert browser.errors == []


def test_nothing_is_asked_of_the_network(browser: "Browser", listening: Path) -> None:
    browser.open(listening)
    browser.run(_PLAY_ALL)
    assert {address.split(":")[0] for address in browser.requests} == {"file", "data"}
    names = {address.split("/")[-1] for address in browser.requests if address.startswith("file")}
    assert names == {"index.html", "%231%2050%25%3F%20%22long%22%20%26%20%3Cb%3E.wav"}


def test_a_tap_on_the_picture_plays_from_there(browser: "Browser", listening: Path) -> None:
    browser.open(listening)
    time, paused = browser.run("""(async () => {
      const stage = document.querySelectorAll(".stage")[1], audio = document.querySelectorAll("audio")[1];
      const box = stage.getBoundingClientRect();
      const seeked = new Promise(done => audio.addEventListener("seeked", done, {once: true}));
      stage.dispatchEvent(new MouseEvent("click", {clientX: box.left + box.width / 2, clientY: box.top}));
      await seeked;
      return [audio.currentTime, audio.paused];
    })()""")
    assert not paused
    assert 0.95 < time < 1.5  # whole pixels
    assert browser.errors == []


def test_the_command_is_copied(browser: "Browser", listening: Path, clips: list[ClipEntry]) -> None:
    browser.open(listening)
    copied = browser.run("""(() => {
      let text = "";
      document.addEventListener("copy", () => { text = getSelection().toString(); }, {once: true});
      document.querySelectorAll("details").forEach(one => { one.open = true; });
      document.querySelectorAll("[data-copy]")[1].click();
      return text;
    })()""")
    assert copied == clips[2].command


@pytest.mark.parametrize("width", [320, 390, 1200])
@pytest.mark.parametrize("dark", [False, True])
def test_it_renders_in_any_width_and_colours(browser: "Browser", listening: Path, width: int, dark: bool) -> None:
    browser.open(listening, width=width, dark=dark)
    assert browser.run("document.querySelector('h1').textContent") == "Clips <of> a network"
    assert browser.run("document.documentElement.scrollWidth") <= width
    shown = "[...document.images].map(image => image.decode().then(() => image.naturalHeight))"
    assert browser.run(f"Promise.all({shown})") == [96] * 5
    heights = "[...document.querySelectorAll('.waveform path')].map(path => path.getBoundingClientRect().height)"
    assert min(browser.run(heights)) > 10
    brightness = browser.run("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0]")
    assert (brightness < 128) == dark
    assert browser.errors == []


def test_names_are_text(browser: "Browser", listening: Path) -> None:
    browser.open(listening)
    assert browser.run("document.querySelectorAll('[onerror], h3 b').length") == 0
    assert browser.run("document.querySelector('h3').textContent") == "<img src=x onerror=alert(1)>.wav"


def test_other_parts_render_too(browser: "Browser", tmp_path: Path) -> None:
    parts = [
        page.heading("Curves"),
        page.warning("No validation recordings."),
        page.more("All numbers", [page.table(["step", "bits"], [[1, "3.0"], [2, "2.0"]])]),
        page.card([page.facts([("best", 1.0)]), page.command("python train.py")]),
    ]
    page.write_page(tmp_path / "report.html", "Run", parts)
    browser.open(tmp_path / "report.html", dark=True)
    assert browser.errors == []


@pytest.fixture(scope="module")
def charts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two behind a switch, with all that can stand beside curves; and rows."""
    steps = np.array([0.0, 100, 200, 300])
    chart = Chart(
        title="bits",
        xlabel="step",
        ylabel="bits per sample",
        curves=[
            Curve(name="train", points=np.array([steps, [8, 4, 3, 2.5]]), colour="#7b2d8b"),
            Curve(
                name="a validation with a long name", points=np.array([steps[1::2], [3.125, 2.75]]), colour="#1b8a8f"
            ),
            Curve(name="table", points=np.array([steps, [5, 6, 7, np.nan]]), colour="#85858f", look=Look.STEPS),
        ],
        heights={"table of single codes": 7.0, "table of codes given the one before": 5.0},
        places={"receptive field": (150, "#d9822b")},
    )
    bar = Curve(name="", points=np.array([[0.0, 3], [1, 1]]), colour="#7b2d8b", look=Look.STROKE, width=7)
    rows = Chart(title="level", xlabel="dB", ylabel="", curves=[bar], rows=["noise", "a row with a name: 0.25"])
    parts = [switched("over", [("steps", chart), ("time", replace(chart, xlabel="hours"))]), draw(rows, "below")]
    page.write_page(path := tmp_path_factory.mktemp("charts") / "report.html", "Run", parts)
    return path


@pytest.mark.parametrize("width", [320, 390, 1200])
def test_no_text_lies_over_a_curve(browser: "Browser", charts: Path, width: int) -> None:
    browser.open(charts, width=width)
    assert browser.run("document.documentElement.scrollWidth") <= width
    plots = browser.run("all('.plot').map(one => one.getBoundingClientRect().width).filter(Boolean)")
    assert len(plots) == 2 and min(plots) > 0.55 * width
    over = browser.run("""all(".chart").filter(chart => chart.offsetWidth).flatMap(chart => {
      const plot = chart.querySelector("svg[role]").getBoundingClientRect();
      return all(".name, .legend > span, .unit, .up span, .across span, figcaption", chart).filter(text => {
        const box = text.getBoundingClientRect();
        return box.width && box.right > plot.left + 1 && box.left < plot.right - 1
          && box.bottom > plot.top + 1 && box.top < plot.bottom - 1;
      }).map(text => text.textContent);
    })""")
    assert over == []
    assert browser.run("all('.up span').every(text => !text.offsetWidth || text.getBoundingClientRect().left >= 0)")
    assert browser.errors == []


def test_the_pointer_reads_the_nearest_points(browser: "Browser", charts: Path) -> None:
    browser.open(charts)
    read = """(share => {
      const chart = document.querySelector(".chart"), plot = chart.querySelector(".plot");
      const box = plot.getBoundingClientRect();
      plot.dispatchEvent(new PointerEvent("pointermove", {clientX: box.left + share * box.width, clientY: box.top}));
      return [...all(".legend output", chart), chart.querySelector(".unit output")].map(one => one.textContent);
    })"""
    assert browser.run(f"{read}(0.34)") == ["4", "3.125", "6", "7", "5", "", "100"]
    assert browser.run(f"{read}(0.9)") == ["2.5", "2.75", "\u2013", "7", "5", "", "300"]
    browser.run("document.querySelector('.plot').dispatchEvent(new PointerEvent('pointerleave'))")
    assert browser.run("all('.chart')[0].querySelector('.legend output').textContent") == ""
    assert browser.errors == []


def test_the_switch_shows_another_chart(browser: "Browser", charts: Path) -> None:
    browser.open(charts)
    shown = "all('.switch .chart').map(one => one.offsetWidth > 0)"
    assert browser.run(shown) == [True, False]
    browser.run("document.querySelectorAll('.switch label')[1].click()")
    assert browser.run(shown) == [False, True]


def test_filters_leave_clips_out(browser: "Browser", listening: Path) -> None:
    browser.open(listening)
    shown = "all('.clips .card').filter(card => card.offsetWidth).length"
    words = browser.run("all('.filters button').map(button => button.textContent)")
    assert words == ["continuation", "silence", "loop", "none"] and browser.run(shown) == 5
    browser.run("all('.filters button')[1].click()")
    assert browser.run(shown) == 3 and browser.run("document.querySelector('.filters output').textContent") == "3 of 5"
    browser.run("all('.filters button')[2].click()")
    assert browser.run(shown) == 1
    for button in (1, 2):
        browser.run(f"all('.filters button')[{button}].click()")
    assert browser.run(shown) == 5
    assert browser.errors == []


def test_thirty_clips_are_two_screens(browser: "Browser", clips: list[ClipEntry], tmp_path: Path) -> None:
    flagged = {"name": "continuation 12", "kind": "continuation", "border": 0.5, "samples": np.zeros(8000, np.float32)}
    write_listening_page(tmp_path / "index.html", "Clips", [ClipEntry(**vars(clips[2]) | flagged)] * 30)
    browser.open(tmp_path / "index.html", height=900)
    assert browser.run("document.documentElement.scrollHeight") <= 2 * 900


def test_short_clips_show_tenths(browser: "Browser", listening: Path) -> None:
    browser.open(listening)
    assert browser.run("all('.bar output').map(time => time.textContent)")[3] == "0.0 / 0.5 s"
    assert browser.run("all('audio').some(audio => audio.controls)") is False
    browser.run("""new Promise(done => {
      const audio = document.querySelectorAll("audio")[1];
      audio.addEventListener("seeked", done, {once: true});
      audio.currentTime = 1.26;
    })""")
    assert browser.run("all('.bar output')[1].textContent") == "1.3 / 2.0 s"


def test_a_page_of_a_run_that_trains_tells_its_age(browser: "Browser", tmp_path: Path) -> None:
    now = time.time()
    ages = [Markup('<b data-written="{:.0f}"></b>').format(1000 * (now - 60 * minutes)) for minutes in (0, 12, 300)]
    page.write_page(tmp_path / "report.html", "Run", ages)
    browser.open(tmp_path / "report.html")
    told = browser.run("all('[data-written]').map(age => age.textContent)")
    assert told == ["less than a minute ago", "12 min ago", "5 h ago: has the run been stopped?"]


@pytest.mark.parametrize("used", [False, True])
def test_it_reloads_unless_it_is_used(browser: "Browser", tmp_path: Path, used: bool) -> None:
    parts = [Markup('<b data-written="0"></b>'), Markup("<details{}>text</details>").format(" open" if used else "")]
    page.write_page(tmp_path / "report.html", "Run", parts)
    hurry = """const wait = setInterval;
    window.setInterval = (act, time) => wait(act, time / 500);
    sessionStorage.loads = 1 + Number(sessionStorage.loads ?? 0);"""
    script = browser.call("Page.addScriptToEvaluateOnNewDocument", source=hurry)["identifier"]
    try:
        browser.open(tmp_path / "report.html")
        before = int(browser.run("sessionStorage.loads"))
        deadline = time.monotonic() + (0.5 if used else 20)
        while int(browser.run("sessionStorage.loads")) == before and time.monotonic() < deadline:
            time.sleep(0.1)
        assert (int(browser.run("sessionStorage.loads")) == before) == used
    finally:
        browser.call("Page.removeScriptToEvaluateOnNewDocument", identifier=script)
