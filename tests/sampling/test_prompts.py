"""Prompts: where they are cut, what is read before them, and that they depend on (seed, clip) only."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from sequnet_pl.audio import mulaw
from sequnet_pl.data.store import make_store, open_split
from sequnet_pl.models.sashimi import SaShiMi
from sequnet_pl.models.wavenet import WaveNet
from sequnet_pl.sampling import draw, prompts

RATE = 1000


@pytest.fixture
def ramp(tmp_path: Path) -> Path:
    """Two seconds, each sample of its own."""
    soundfile.write(tmp_path / "ramp.wav", np.linspace(-1, 1, 2 * RATE), RATE, subtype="FLOAT")
    return tmp_path / "ramp.wav"


@pytest.mark.parametrize(
    ("start", "seconds", "context"), [(0.5, 0.25, 400), (0.1, 0.25, 900), (1.0, 1.0, 5), (0, 2, 3)]
)
def test_a_file_is_cut_where_it_is_asked(ramp: Path, start: float, seconds: float, context: int) -> None:
    codes = mulaw.encode(np.linspace(-1, 1, 2 * RATE))
    prompt = prompts.from_file(ramp, RATE, context, start, seconds)
    end = round((start + seconds) * RATE)
    assert prompt.shown == round(seconds * RATE) and prompt.end == pytest.approx(start + seconds)
    assert len(prompt.codes) == min(end, max(context, prompt.shown))
    assert np.array_equal(prompt.codes, codes[end - len(prompt.codes) : end])


def test_a_file_that_ends_sooner(ramp: Path, caplog: pytest.LogCaptureFixture) -> None:
    prompt = prompts.from_file(ramp, RATE, 100, 1.5, 1.0)
    assert prompt.shown == 500 and prompt.end == 2.0
    assert "only 0.50 s long" in caplog.text


@pytest.mark.parametrize("seconds", [0.1, 0.5, 3.0])
def test_recordings(tmp_path: Path, seconds: float) -> None:
    random = np.random.default_rng(0)
    lengths = (700, 150, 3)
    for index, length in enumerate(lengths):
        soundfile.write(tmp_path / f"{index}.wav", random.uniform(-1, 1, length), RATE)
    make_store({"test": sorted(tmp_path.glob("*.wav"))}, tmp_path / "store", rate=RATE, progress=False)
    split = open_split(tmp_path / "store", "test")
    first = [prompts.from_split(split, RATE, 64, seconds, seed=5, clip=clip).source for clip in range(6)]
    assert len(set(first[:3])) == len(set(first[3:])) == 3  # each recording before one of them is taken twice
    seen = set()
    for clip in range(300):
        prompt = prompts.from_split(split, RATE, 64, seconds, seed=5, clip=clip)
        index, end = int(Path(prompt.source).stem), round(prompt.end * RATE)
        whole = split.codes[split.offsets[index] : split.offsets[index] + split.lengths[index]]
        assert min(round(seconds * RATE), (lengths[index] + 1) // 2) <= end <= lengths[index]
        assert prompt.shown == min(end, round(seconds * RATE))
        assert np.array_equal(prompt.codes, whole[max(0, end - max(64, round(seconds * RATE))) : end])
        seen.add((index, end))
        if clip == 7:
            again = prompts.from_split(split, RATE, 64, seconds, seed=5, clip=clip)
            assert np.array_equal(again.codes, prompt.codes)
    assert {index for index, _ in seen} == {0, 1, 2} or seconds < 3
    assert len(seen) > 100


def test_stacked() -> None:
    one, two = (prompts.Prompt(np.arange(n, dtype=np.uint8), shown=1) for n in (2, 5))
    network = WaveNet(2, 1, 1, 1, 1)  # whose receptive field is 4
    assert prompts.stack([one, one], network).tolist() == [0, 1]
    assert prompts.stack([one, two], network).tolist() == [[128, 128, 0, 1], [1, 2, 3, 4]]
    assert prompts.stack([one, two], SaShiMi(2, 1, 2)).tolist() == [[128, 128, 128, 0, 1], [0, 1, 2, 3, 4]]


@pytest.mark.parametrize(("former", "now"), [("Drawing", draw.SamplingParams), ("Noise", draw.CounterRng)])
def test_former_names_of_the_sampling_classes_warn(former: str, now: type) -> None:
    with pytest.warns(DeprecationWarning, match=f"{former} is called {now.__name__} now"):
        assert getattr(draw, former) is now
    assert not hasattr(draw, "nothing")


def test_large_seeds_give_numbers_of_their_own() -> None:
    seeds = (0, 2**63, 2**63 + 1, 2**64 - 1)
    assert len({tuple(draw.CounterRng(seed, [0]).uniform(0, 2).flatten().tolist()) for seed in seeds}) == 4
