from pathlib import Path

import numpy as np
import pytest
import soundfile

from sequnet_pl.errors import UserError
from sequnet_pl.report.samples import FileSamples, Tail, blocks

PARTS = [slice(None), slice(3, 9), slice(5, 5), slice(9, 3), slice(-4, None), slice(90, 200), slice(0, 20, 3)]


@pytest.mark.parametrize("part", PARTS)
def test_a_file_reads_like_its_array(part: slice, tmp_path: Path) -> None:
    array = np.random.default_rng(0).uniform(-1, 1, 100).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", array, 8000, subtype="FLOAT")
    samples = FileSamples(tmp_path / "a.wav")
    assert (len(samples), samples.rate) == (100, 8000)
    np.testing.assert_array_equal(samples[part], array[part])
    np.testing.assert_array_equal(Tail(samples, 30)[part], array[30:][part])


@pytest.mark.parametrize("start", [-1, 0, 7, 10, 11])
def test_a_tail_is_what_follows(start: int) -> None:
    array = np.arange(10, dtype=np.float32)
    tail = Tail(array, start)
    np.testing.assert_array_equal(tail[:], array[max(start, 0) :])
    assert len(tail) == len(tail[:])


def test_blocks_cover_everything_once() -> None:
    array = np.arange(10, dtype=np.float32)
    assert [len(block) for block in blocks(array, 4)] == [4, 4, 2]
    np.testing.assert_array_equal(np.concatenate(list(blocks(array, 4))), array)
    assert list(blocks(array[:0], 4)) == []


def test_what_is_no_sound_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_text("no sound")
    for name in ("a.wav", "missing.wav"):
        with pytest.raises(UserError, match=name):
            FileSamples(tmp_path / name)


def test_a_file_that_went_away_is_one_line(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(10), 8000)
    samples = FileSamples(tmp_path / "a.wav")
    (tmp_path / "a.wav").unlink()
    with pytest.raises(UserError, match=r"a\.wav"):
        samples[:]
