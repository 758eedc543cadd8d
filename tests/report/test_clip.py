"""Clips on pages, and the page to listen to them."""

import html
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from browser import Browser
from numpy.typing import NDArray

from sequnet_pl.errors import UserError
from sequnet_pl.report.clip import PageClip, read_clip, view, write_listening_page


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[PageClip]:
    """A continuation, a loop from silence, a clip too long to embed, and unmeasured ones; some have special names."""
    folder = tmp_path_factory.mktemp("clips & more")
    rate = 8000
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 31 * rate).astype(np.float32)
    loud = noise.copy()
    loud[:rate] = 1  # a clipped prompt, which the network did not make

    def entry(name: str, samples: NDArray[np.float32], prompt_end: float, bits: float | None) -> PageClip:
        soundfile.write(folder / name, samples, rate)
        return PageClip(
            name=name,
            wav=folder / name,
            prompt_end=prompt_end,
            bits_per_sample=bits,
            temperature=0.9,
            seed=7,
            command=f"python sample.py --ckpt_path {'long' * 20}.ckpt --prompt '{name}' --seed 7",
            details={"top_p": "0.95"},
        )

    return [
        entry("unmeasured.wav", noise[: rate // 2], 0, None),
        entry('#1 50%? "long" & <b>.wav', noise, 4, 5.5),
        entry("step10_continuation.wav", loud[: 2 * rate], 1, 3.25),
        entry("nan.wav", noise[:rate], 0, float("nan")),
        entry("<img src=x onerror=alert(1)>.wav", np.tile(noise[:800], 20), 0, 1.5),
    ]


@pytest.fixture(scope="module")
def page(clips: list[PageClip], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("out put") / "index.html"
    write_listening_page(path, "Clips <of> a network", clips)
    return path


@pytest.fixture
def cards(page: Path) -> list[str]:
    return page.read_text(encoding="utf-8").split('<section class="card"')[1:]


def test_the_likeliest_clip_comes_first_and_unmeasured_ones_last(cards: list[str]) -> None:
    bits = [re.findall(r"bits per sample</dt><dd>([^<]*)", card) for card in cards]
    assert bits == [["1.500"], ["3.250"], ["5.500"], [], []]


def test_each_clip_has_its_facts_command_and_file(clips: list[PageClip], cards: list[str]) -> None:
    plain = html.unescape("".join(cards))
    for clip in clips:
        assert clip.command in plain and f"<h3>{clip.name}" in plain
    for card in cards:
        for name, value in (("temperature", "0.9"), ("seed", "7"), ("top_p", "0.95")):
            assert f"<dt>{name}</dt><dd>{value}</dd>" in card
        assert card.count("<a href=") == 1


def test_short_audio_is_embedded_and_long_audio_linked(cards: list[str]) -> None:
    sources = [re.findall(r'<audio [^>]*src="([^"]*)"', card)[0] for card in cards]
    assert [source.startswith("data:audio/wav;base64,") for source in sources] == [True, True, False, True, True]
    assert sources[2].endswith("/%231%2050%25%3F%20%22long%22%20%26%20%3Cb%3E.wav")


def test_warnings_concern_the_part_after_the_prompt(cards: list[str]) -> None:
    flagged = [re.findall(r'class="(?:badge|warning)">([^<]*)', card) for card in cards]
    assert [bool(found) for found in flagged] == [True, False, False, False, False]
    assert flagged[0] == ["loop", "loop: the last second repeats an earlier part of up to a second before it"]


def test_clips_are_grouped_by_network(clips: list[PageClip], tmp_path: Path) -> None:
    mixed = [replace(clip, network="ab"[number % 2], wav=clip.wav) for number, clip in enumerate(clips)]
    write_listening_page(tmp_path / "index.html", "Clips", mixed)
    found = re.findall(r"<h2>(\w)</h2>|bits per sample</dt><dd>([^<]*)", (tmp_path / "index.html").read_text())
    assert [name or bits for name, bits in found] == ["a", "1.500", "3.250", "b", "5.500"]


def test_no_clips_are_a_page_too(tmp_path: Path) -> None:
    write_listening_page(tmp_path / "index.html", "Clips", [])
    text = (tmp_path / "index.html").read_text()
    assert "There are no clips" in text and len(text) < 30_000  # without the library of charts


def test_clips_of_arrays_and_empty_ones_are_shown() -> None:
    for samples in (np.zeros(0, np.float32), np.full(8000, 0.5, np.float32)):
        shown = view(PageClip(name="a", samples=samples, rate=8000))
        assert shown["audio"].startswith("data:audio/wav")


def test_unreadable_clips_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_text("no sound")
    for name in ("a.wav", "none.wav"):
        with pytest.raises(UserError, match="cannot read"):
            read_clip(tmp_path / name)
    soundfile.write(tmp_path / "two.wav", np.array([[0.5, 0.25]] * 10), 8000)
    samples, rate = read_clip(tmp_path / "two.wav")
    assert rate == 8000 and samples == pytest.approx(np.full(10, 0.375), abs=1e-4)
    with pytest.raises(UserError, match="NaN"):
        view(PageClip(name="a", samples=np.full(10, np.nan, np.float32), rate=8000))


@pytest.mark.parametrize("dark", [True, False])
def test_in_a_browser(browser: Browser, page: Path, dark: bool) -> None:
    browser.check_page(page, width=320, dark=dark)
    browser.open(page, width=320, dark=dark)
    assert browser.run("document.querySelector('h1').textContent") == "Clips <of> a network"
    assert browser.run("document.querySelectorAll('[onerror], h3 b').length") == 0
    shown = "Promise.all([...document.images].map(image => image.decode().then(() => image.naturalHeight)))"
    assert browser.run(shown) == [96] * 5
    brightness = browser.run("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0]")
    assert (brightness < 128) == dark
    played = browser.run("""(async () => {
      const found = [];
      for (const clip of all(".clip")) {
        const audio = clip.querySelector("audio"), stage = clip.querySelector(".stage");
        const loaded = new Promise(done => audio.addEventListener("canplay", done, {once: true}));
        audio.preload = "auto";
        audio.load();
        await loaded;
        const box = stage.getBoundingClientRect();
        const seeked = new Promise(done => audio.addEventListener("seeked", done, {once: true}));
        stage.dispatchEvent(new MouseEvent("click", {clientX: box.left + box.width / 2, clientY: box.top}));
        await seeked;
        found.push([audio.duration, parseFloat(clip.querySelector(".head").style.left),
          all("audio").filter(one => !one.paused).length]);
      }
      return found;
    })()""")
    assert [round(duration, 3) for duration, _, _ in played] == [2, 2, 31, 0.5, 1]
    assert all(45 < head < 100 and playing <= 1 for _, head, playing in played)
