"""Which recordings are held out, which segments of them are compared, their prompts, and clips from files."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sequnet_pl.audio import mulaw
from sequnet_pl.audio.files import write_wav
from sequnet_pl.data.datamodule import AudioDataModule
from sequnet_pl.data.store import Split, make_store, open_split
from sequnet_pl.errors import UserError
from sequnet_pl.evaluate import clips
from sequnet_pl.evaluate.clips import stretch
from sequnet_pl.evaluate.run import held_out
from sequnet_pl.sampling import prompts
from sequnet_pl.training.sampling import Excerpts

RATE = 1000


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Split:
    """Recordings of 2.5, 0.9, 4 and 1 seconds."""
    folder, random = tmp_path_factory.mktemp("split"), np.random.default_rng(0)
    paths = [folder / f"{name}.wav" for name in "abcd"]
    for path, length in zip(paths, (2500, 900, 4000, 1000), strict=True):
        write_wav(path, random.uniform(-1, 1, length), RATE)
    make_store({"test": paths}, folder / "store", rate=RATE, workers=1, progress=False)
    return open_split(folder / "store", "test")


def test_all_stretches_are_taken_where_all_are_needed(split: Split) -> None:
    lengths = enumerate((2500, 900, 4000, 1000))
    starts = [(recording, start) for recording, length in lengths for start in range(0, length - 499, 500)]
    every = [stretch(split, recording, start, RATE) for recording, start in starts]
    assert clips.choose(split, 500, 8, RATE) == every
    assert clips.choose(split, 500, 4, RATE) == every[1::2]


def test_stretches_are_spread_evenly_and_do_not_overlap(split: Split) -> None:
    found = clips.choose(split, 250, 4, RATE)
    recordings = ["abcd".index(Path(one.file).stem) for one in found]
    begins = np.cumsum(split.lengths) - split.lengths
    positions = begins[recordings] + [one.before for one in found]
    assert len(positions) == 8 and (np.diff(positions) >= 250).all()
    assert set(recordings) == {0, 1, 2, 3}
    gaps = np.diff(positions)
    assert gaps.max() < 2 * 8400 / 8
    assert found == clips.choose(split, 250, 4, RATE)


def test_fewer_are_taken_where_there_are_no_more(split: Split, caplog: pytest.LogCaptureFixture) -> None:
    assert len(clips.choose(split, 500, 20, RATE)) == 16
    assert "8 clips instead of 20: the held-out recordings have 16 segments of 0.5 s" in caplog.text


def test_a_prompt_is_what_comes_before(split: Split) -> None:
    part = stretch(split, 2, 300, RATE)
    (codes,) = clips.read(split, [part], 100)
    begin = int(split.offsets[2])
    assert np.array_equal(codes, split.codes[begin + 300 : begin + 400])
    for context, samples in ((50, 50), (1000, 300)):
        found = clips.prompt(split, part, context)
        assert np.array_equal(found.codes, split.codes[begin + 300 - samples : begin + 300])
        assert found.end == 0.3 and found.source.endswith("c.wav")
    assert (clips.prompt(split, stretch(split, 2, 0, RATE), 50).codes == mulaw.SILENCE).all()


def test_clips_of_a_folder(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(6):
        write_wav(tmp_path / f"{number}.wav", np.full(300 if number != 2 else 200, number / 10), RATE)
    codes, paths = clips.read_folder(tmp_path, RATE, 250, None)
    assert [path.name for path in paths] == ["0.wav", "1.wav", "3.wav", "4.wav", "5.wav"]
    assert np.array_equal(codes, np.repeat(mulaw.encode(np.array([[0.0], [0.1], [0.3], [0.4], [0.5]])), 250, axis=1))
    assert "1 files are left out: they are shorter than 0.25 s" in caplog.text
    assert len(clips.read_folder(tmp_path, RATE, 250, 4)[1]) == 4
    with pytest.raises(UserError, match=r"has 0 clips of 0.4 s, but 4 are needed.*--seconds"):
        clips.read_folder(tmp_path, RATE, 400, None)
    (tmp_path / "clips.json").write_text("{}")
    with pytest.raises(UserError, match="not a list of clips"):
        clips.read_folder(tmp_path, RATE, 250, None)
    with pytest.raises(UserError, match="there is no folder"):
        clips.read_folder(tmp_path / "none", RATE, 250, None)


@pytest.fixture
def trained(tmp_path: Path) -> Any:
    """As of a network that learnt from a folder of one long file and one of four."""
    random = np.random.default_rng(0)
    for folder, names, seconds in (("long", "a", 46), ("many", "1234", 2)):
        for name in names:
            write_wav(tmp_path / folder / f"{name}.wav", random.uniform(-0.5, 0.5, seconds * RATE), RATE)
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
    part = stretch(long, 0, 1500, RATE)
    assert (part.file, part.second) == (str(tmp_path / "long/a.wav"), 43.5)
    assert clips.prompt(long, part, 100).end == 43.5
    prompt = prompts.from_split(long, RATE, 100, 0.5, seed=0, clip=0)
    assert 42.5 <= prompt.end <= 46
    end = round((prompt.end - 42) * RATE) + int(long.offsets[0])
    assert np.array_equal(prompt.codes[-500:], long.codes[end - 500 : end])
    excerpts = Excerpts.spread(trained.module, 2)
    assert {float(name.split(", ")[1].split()[0]) >= 35 for name in excerpts.names if "a.wav" in name} == {True}
