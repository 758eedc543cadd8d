"""What is held out of several folders and of a long file, and where in it a piece lies."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

from sequnet_pl.data.datamodule import AudioDataModule
from sequnet_pl.data.store import Split
from sequnet_pl.evaluate import clips
from sequnet_pl.evaluate.run import held_out
from sequnet_pl.sampling import prompts
from sequnet_pl.training.sampling import Excerpts

RATE = 1000


@pytest.fixture
def trained(tmp_path: Path) -> Any:
    """As of a network that learnt from a folder of one long file and one of four."""
    names = {"long/a": 46, "many/1": 2, "many/2": 2, "many/3": 2, "many/4": 2}
    for number, (name, seconds) in enumerate(names.items()):
        path = tmp_path / f"{name}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, np.random.default_rng(number).uniform(-0.5, 0.5, seconds * RATE), RATE)
    data = AudioDataModule(
        audio_dir=[str(tmp_path / "long"), str(tmp_path / "many")],
        audio_weights=[1, 2],
        data_dir=str(tmp_path / "data"),
        sample_rate=RATE,
    )
    data.prepare_data()
    data.setup("predict")
    return SimpleNamespace(data=dict(data.hparams), module=data)


def names(split: Split) -> list[str]:
    return [Path(recording.source).name for recording in split.recordings]


def test_of_a_folder_that_trained_only_what_was_held_out(tmp_path: Path, trained: Any) -> None:
    both = names(held_out(None, trained, RATE))
    assert len(both) == 2 and both[0] == "a.wav"
    many = held_out(f"{tmp_path}/./many", trained, RATE)
    assert names(many) == both[1:]
    long = held_out(str(tmp_path / "long"), trained, RATE)
    assert [(recording.start, recording.length) for recording in long.recordings] == [(42_000, 4000)]


def test_pieces_are_told_by_their_time_in_the_recording(tmp_path: Path, trained: Any) -> None:
    long = held_out(str(tmp_path / "long"), trained, RATE)
    stretch = clips.Stretch(0, 1500)
    assert clips.source(long, stretch, RATE) == (str(tmp_path / "long/a.wav"), 43.5)
    assert clips.prompt(long, stretch, 100, RATE).end == 43.5
    prompt = prompts.from_split(long, RATE, 100, 0.5, seed=0, clip=0)
    assert 42.5 <= prompt.end <= 46
    end = round((prompt.end - 42) * RATE) + int(long.offsets[0])
    assert np.array_equal(prompt.codes[-500:], long.codes[end - 500 : end])
    excerpts = Excerpts.spread(trained.module, 2)
    assert {float(name.split(", ")[1].split()[0]) >= 35 for name in excerpts.names if "a.wav" in name} == {True}
