import html
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sequnet_pl.errors import UserError
from sequnet_pl.report.listening import ClipEntry, write_listening_page


@pytest.fixture
def text(clips: list[ClipEntry], tmp_path: Path) -> str:
    write_listening_page(tmp_path / "index.html", "Clips", clips, warnings=["stopped early"])
    return (tmp_path / "index.html").read_text(encoding="utf-8")


def cards(text: str) -> list[str]:
    return text.split('<section class="card"')[1:]


def test_the_likeliest_clip_comes_first_and_the_unmeasured_last(text: str) -> None:
    bits = [re.search(r"bits per sample</dt><dd>([^<]*)", card) for card in cards(text)]
    assert [found and found[1] for found in bits] == ["1.500", "3.250", "5.500", "–", "–"]
    assert "Sorted by likelihood" in text and text.index("stopped early") < text.index("Sorted")


def test_each_clip_has_its_facts_and_command(clips: list[ClipEntry], text: str) -> None:
    plain = html.unescape(re.sub(r"</?span>|<wbr>", "", text))
    for clip in clips:
        assert clip.command in plain and f"<h3>{clip.name}</h3>" in plain
    for card in cards(text):
        for name, value in (("temperature", "0.9"), ("seed", "7"), ("top_p", "0.95")):
            assert f"<dt>{name}</dt><dd>{value}</dd>" in card


def test_short_audio_is_embedded_and_long_audio_linked(text: str) -> None:
    sources = [re.findall(r'<audio [^>]*src="([^"]*)"', card)[0] for card in cards(text)]
    assert [source.startswith("data:audio/flac;base64,") for source in sources] == [True, True, False, True, True]
    assert sources[2].endswith("/%231%2050%25%3F%20%22long%22%20%26%20%3Cb%3E.wav")


def test_border_stands_where_the_prompt_ends(text: str) -> None:
    borders = [re.findall(r'class="border" style="left:([\d.]+)%"', card) for card in cards(text)]
    assert borders == [[], ["50.000"] * 2, ["12.903"] * 2, [], []]


def test_flags_are_of_the_generated_part(text: str) -> None:
    warned = [re.findall(r'badge warns"[^>]*>([^<]+)', card) for card in cards(text)]
    assert warned == [["loop"], [], [], [], []]


def test_a_flag_and_the_level_say_which_part(clips: list[ClipEntry], tmp_path: Path) -> None:
    samples = np.repeat(np.array([0.5, 0], np.float32), 8000)
    half = replace(clips[2], samples=samples, border=1.0)
    write_listening_page(tmp_path / "index.html", "Clips", [half, replace(half, samples=samples[8000:], border=0)])
    said = [(re.findall(r'badge warns"[^>]*>([^<]+)', card), re.findall(r"<dt>(level[^<]*)</dt><dd>([^<]*)", card))
            for card in cards((tmp_path / "index.html").read_text(encoding="utf-8"))]  # fmt: skip
    assert said == [
        (["generated part silent"], [("level, generated part", "-99 dBFS")]),
        (["silent"], [("level", "-99 dBFS")]),
    ]
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert re.findall(r'role="alert">([^<]*)', text)[0] == "generated part silent: level below -60 dBFS"


def test_a_five_second_clip_takes_little_room(clips: list[ClipEntry], tmp_path: Path) -> None:
    rate = 16000
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, 5 * rate).astype(np.float32)
    times = np.arange(5 * rate) / rate
    clip = ClipEntry(**{**vars(clips[0]), "samples": noise + np.sin(times * 2000).astype(np.float32) / 2, "rate": rate})
    write_listening_page(tmp_path / "index.html", "Clips", [clip])
    pictures = re.sub(r'<audio [^>]*src="[^"]*"', "", (tmp_path / "index.html").read_text(encoding="utf-8"))
    assert len(pictures) < 100_000


def test_no_clips_and_no_samples_are_no_trouble(clips: list[ClipEntry], tmp_path: Path) -> None:
    write_listening_page(tmp_path / "none.html", "Clips", [])
    assert "No clips" in (tmp_path / "none.html").read_text(encoding="utf-8")
    empty = ClipEntry(**{**vars(clips[0]), "samples": np.zeros(0, np.float32)})
    all_prompt = ClipEntry(**{**vars(clips[0]), "border": 100.0})
    write_listening_page(tmp_path / "index.html", "Clips", [empty, all_prompt])
    assert len(cards((tmp_path / "index.html").read_text(encoding="utf-8"))) == 2


def test_a_page_that_fails_leaves_the_old_one(clips: list[ClipEntry], tmp_path: Path) -> None:
    path = tmp_path / "index.html"
    path.write_text("old")
    broken = ClipEntry(**{**vars(clips[0]), "samples": np.full(8000, np.nan, np.float32)})
    with pytest.raises(UserError, match="NaN"):
        write_listening_page(path, "Clips", [*clips, broken])
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]
