import base64
import io
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sequnet_pl.report.player import player

RATE = 8000
PAGE = Path("out/index.html")


@pytest.mark.parametrize(("seconds", "last"), [(0.5, "0.4 s"), (5, "4 s"), (61, "0:45"), (600, "8:00")])
def test_times_are_marked_at_round_numbers(seconds: float, last: str) -> None:
    part = player(np.zeros(round(seconds * RATE), np.float32), RATE, 0, PAGE, Path("out/clip.wav"))
    marks = re.findall(r'<span style="left:([\d.]+)%">([^<]+)</span>', part)
    assert 4 <= len(marks) <= 8 and marks[-1][1] == last
    assert all(float(left) < 97 for left, _ in marks)


def test_embedded_audio_is_the_clip() -> None:
    noise = np.random.default_rng(0).uniform(-1, 1, RATE).astype(np.float32)
    found = re.search(r'<audio [^>]*src="data:audio/flac;base64,([^"]+)"', player(noise, RATE, 0, PAGE))
    assert found
    read, rate = soundfile.read(io.BytesIO(base64.b64decode(found[1])), dtype="float32")
    assert rate == RATE
    np.testing.assert_allclose(read, noise, atol=1 / 32768)


@pytest.mark.parametrize(("seconds", "linked"), [(30, False), (30.01, True)])
def test_audio_over_30_seconds_is_linked(seconds: float, linked: bool) -> None:
    part = player(np.zeros(round(seconds * RATE), np.float32), RATE, 0, PAGE, Path("out/clips/1.wav"))
    assert ('src="clips/1.wav"' in part) == linked


@pytest.mark.parametrize(
    ("border", "names"),
    [(0, []), (0.1, ["generated"]), (1, ["prompt", "generated"]), (1.9, ["prompt"]), (2, ["prompt"]), (9, ["prompt"])],
)
def test_the_sides_of_the_border_are_named_where_they_have_room(border: float, names: list[str]) -> None:
    part = player(np.zeros(2 * RATE, np.float32), RATE, border, PAGE)
    assert re.findall(r"<b[^>]*>(\w+)</b>", part) == names
    assert all(float(left) <= 100 for left in re.findall(r"left:([\d.]+)%", part))
