"""Several folders have sampling weights in the training crops."""

import hashlib
import math
from pathlib import Path

import numpy as np
import pytest
from recordings import noise, prepared

from sequnet_pl.data.crops import Groups, training_plan, weighted_groups
from sequnet_pl.data.datamodule import AudioDataModule
from sequnet_pl.errors import UsageError, UserError

LENGTHS = np.array([1000, 64, 7000, 300, 10_000, 90_000])
NUMBERS = np.array([0, 0, 0, 1, 1, 2])


def plan(epoch: int, *weights: float, hop: int = 100) -> np.ndarray:
    return training_plan(LENGTHS, 64, hop, 3, epoch, Groups(NUMBERS, np.array(weights)))


def counts_of(found: np.ndarray) -> list[int]:
    return np.bincount(NUMBERS[found[:, 0]], minlength=3).tolist()


def test_the_plan_without_weights_is_that_of_before() -> None:
    digest = hashlib.sha256(training_plan(LENGTHS, 64, 100, seed=3, epoch=2).tobytes()).hexdigest()
    assert digest[:12] == "868096ab98f9"


def test_weights_hold_in_every_epoch_and_its_length_stays() -> None:
    usual = len(training_plan(LENGTHS, 64, 100, 3, 0))
    for epoch in range(20):
        found = plan(epoch, 6, 3, 1)
        assert len(found) == usual
        for count, weight in zip(counts_of(found), (0.6, 0.3, 0.1), strict=True):
            assert abs(count - weight * usual) < 1
        assert np.array_equal(found, plan(epoch, 0.6, 0.3, 0.1)), "a pure function, whatever the weights add up to"
    assert not np.array_equal(plan(0, 6, 3, 1), plan(1, 6, 3, 1))


def test_a_small_weight_gives_a_crop_in_some_epochs() -> None:
    drawn = np.array([counts_of(plan(epoch, 1, 1, 0.01, hop=20_000)) for epoch in range(2000)])
    assert set(drawn.sum(1)) == {10} and set(drawn[:, 2]) == {0, 1}
    assert 0.02 < drawn[:, 2].mean() < 0.08  # 10 * 0.01 / 2.01


@pytest.mark.parametrize(
    ("folders", "weights", "message"),
    [
        (["a", "b"], [1.0], "--audio_weights has 1 for 2 folders"),
        (["a", "b"], [3.0, 0.0], "--audio_weights has 0, but a sampling weight is"),
        (["a", "b"], [1.0, math.nan], "--audio_weights has nan,"),
        (["a", "link"], None, "a is link or lies in it; name each folder once"),
        (["a/sub", "b", "a"], None, "a/sub is a or lies in it"),
        (["a", ""], None, "audio_dir is empty"),
        ([], None, "audio_dir is empty"),
    ],
)
def test_folders_and_weights_that_make_no_sense(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folders: list[str], weights: list[float] | None, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a/sub", "b", "ab"):
        Path(name).mkdir(parents=True)
    Path("link").symlink_to("a")
    AudioDataModule(audio_dir=["a", "ab"])
    with pytest.raises(UsageError, match=message):
        AudioDataModule(audio_dir=folders, audio_weights=weights)


@pytest.fixture
def music(tmp_path: Path) -> Path:
    """Four files, a long one, and splits that are given."""
    seconds = {"many/1": 1, "many/2": 1, "many/3": 1, "many/4": 1, "long/a": 26, "given/train/b": 2, "given/val/c": 3}
    for number, name in enumerate(seconds):
        noise(tmp_path / "music" / f"{name}.wav", seconds[name], number)
    return tmp_path / "music"


def held(data: AudioDataModule) -> dict[str, list[tuple[str, int, int]]]:
    return {name: [(r.source, r.start, r.length) for r in split.recordings] for name, split in data.splits.items()}


def test_each_folder_is_split_by_itself(tmp_path: Path, music: Path) -> None:
    folders = [str(music / name) for name in ("many", "long", "given")]
    together = held(prepared(tmp_path, audio_dir=folders))
    alone = [held(prepared(tmp_path, audio_dir=folder)) for folder in folders]
    assert together == {name: [entry for each in alone for entry in each[name]] for name in together}
    assert [len(entries) for entries in together.values()] == [4, 3, 2]


def test_recordings_are_known_by_their_folders_however_these_are_written(
    tmp_path: Path, music: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(music)
    Path("link").symlink_to("many")
    for folders in ([str(music / "long"), str(music / "many")], ["./long", "many/"], ["long/../long", "link"]):
        split = prepared(tmp_path, audio_dir=folders).splits["train"]
        assert weighted_groups(split, folders, [3, 1]).numbers.tolist() == [0, 1, 1]
    Path("none").mkdir()
    Path("none/text.wav").write_text("not audio")
    split = prepared(tmp_path, audio_dir=["many", "none"]).splits["train"]
    with pytest.raises(UserError, match="none has nothing to train on, so it can have no sampling weight"):
        weighted_groups(split, ["many", "none"], [1, 1])
