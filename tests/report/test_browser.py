"""Pages in a real Chromium, opened from disk: they render, they play, and they complain of nothing."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from matplotlib.figure import Figure

from sequnet_pl.report import page
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
    assert browser.run("document.querySelectorAll('[onerror], h2 b').length") == 0
    assert browser.run("document.querySelector('h2').textContent") == "<img src=x onerror=alert(1)>.wav"


def test_other_parts_render_too(browser: "Browser", tmp_path: Path) -> None:
    figure = Figure()
    figure.add_subplot(title="bits per sample").plot([3, 2, 1])
    parts = [
        page.heading("Curves", "curves"),
        page.chart(figure, "bits per sample over steps", "lower is better"),
        page.warning("No validation recordings."),
        page.more("All numbers", [page.table(["step", "bits"], [[1, "3.0"], [2, "2.0"]])]),
        page.card([page.facts([("best", 1.0)]), page.command("python train.py")]),
    ]
    page.write_page(tmp_path / "report.html", "Run", parts)
    browser.open(tmp_path / "report.html", dark=True)
    assert browser.run("document.querySelector('.chart svg').getBoundingClientRect().width") > 300
    assert browser.errors == []
