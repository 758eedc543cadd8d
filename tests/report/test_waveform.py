import re
from itertools import pairwise
from xml.etree import ElementTree

import numpy as np
import pytest

from sequnet_pl.report import waveform as module
from sequnet_pl.report.waveform import envelope, waveform


@pytest.mark.parametrize("length", [1, 5, 599, 600, 601, 12345])
def test_envelope_is_the_range_of_every_column(length: int) -> None:
    noise = np.random.default_rng(length).uniform(-1, 1, length).astype(np.float32)
    edges = np.unique(np.linspace(0, length, 601).astype(int))
    columns = [noise[begin:end] for begin, end in pairwise(edges)]
    np.testing.assert_array_equal(envelope(noise), [[c.min() for c in columns], [c.max() for c in columns]])


def test_long_sounds_are_read_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    class Read(np.ndarray):
        def __getitem__(self, part):
            sizes.append(part.stop - part.start)
            return np.asarray(self)[part]

    noise, sizes = np.random.default_rng(0).uniform(-1, 1, 12345).astype(np.float32), []
    whole = envelope(noise)
    monkeypatch.setattr(module, "_BLOCK", 1000)
    np.testing.assert_array_equal(envelope(noise.view(Read)), whole)
    assert sum(sizes) == 12345 and len(sizes) == 12 and max(sizes) <= 1000 + 50  # columns differ by a sample


def test_no_samples_are_a_flat_line() -> None:
    np.testing.assert_array_equal(envelope(np.zeros(0, np.float32)), [[0], [0]])
    ElementTree.fromstring(waveform(np.zeros(0, np.float32)))


@pytest.mark.parametrize(
    ("prompt", "names"), [(0.0, ["generated"]), (0.25, ["prompt", "generated"]), (1.0, ["prompt"])]
)
def test_prompt_and_generation_are_paths_of_their_own(prompt: float, names: list[str]) -> None:
    drawing = ElementTree.fromstring(waveform(np.random.default_rng(0).uniform(-1, 1, 6000).astype(np.float32), prompt))
    assert [path.get("class") for path in drawing] == names
    steps = [path.get("d", "").count("h1V") + path.get("d", "").count("h1z") for path in drawing]
    widths = [len(re.findall(r"h1(?!\d)", path.get("d", ""))) for path in drawing]
    assert sum(widths) == 600 and steps
    if names[0] == "prompt" and prompt < 1:
        assert widths[0] == 150


def test_sound_fills_the_height_and_silence_does_not() -> None:
    def height(amplitude: float) -> int:
        drawing = waveform(amplitude * np.array([-1, 1] * 500, np.float32))
        return max(int(y) for y in re.findall(r"V(-?\d+)", drawing))

    assert height(0.02) == height(1.0) == 100
    assert height(0.0001) <= 2
