"""Notes on recordings that are not whole."""

import logging
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from sequnet_pl.data.store import Report, make_store
from sequnet_pl.data.summary import summary
from sequnet_pl.sampling import prompts


def noise(path: Path, seconds: float = 0.5, seed: int = 0, **options) -> Path:
    sf.write(path, np.random.default_rng(seed).uniform(-0.5, 0.5, round(seconds * 16_000)), 16_000, **options)
    return path


def make(folder: Path, paths: list[Path], **options) -> Report:
    return make_store({"train": paths}, folder, workers=1, progress=False, **options)


@pytest.fixture
def wrapped(tmp_path: Path) -> Path:
    """A wav file that holds four times what its header says."""
    content = noise(tmp_path / "wrapped.wav", seed=1).read_bytes()
    at = content.index(b"data") + 4
    (tmp_path / "wrapped.wav").write_bytes(content[:at] + struct.pack("<I", 4_000) + content[at + 4 :])
    return tmp_path / "wrapped.wav"


def test_what_is_cut_off_is_told_with_its_seconds(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    content = noise(tmp_path / "cut.wav", 2.0).read_bytes()
    (tmp_path / "cut.wav").write_bytes(content[: len(content) // 2])
    report = make(tmp_path / "store", [tmp_path / "cut.wav", noise(tmp_path / "a.wav")])
    note = "used as far as it decodes: it ends at 1.00 s of 2.00 s, cut off or damaged"
    assert [recording.note for recording in report.recordings["train"]] == [note, ""]
    assert caplog.messages == [f"{tmp_path / 'cut.wav'}: {note}"]
    cells = [cell for column in summary(report).columns for cell in map(str, column.cells)]
    assert f"{tmp_path / 'cut.wav'}: {note}" in cells and "with a note: 1" in cells


def test_a_prompt_of_a_file_that_lies_or_is_cut_off(tmp_path: Path, wrapped: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    prompt = prompts.from_file(wrapped, 16_000, 100, 0.3, 0.1)
    assert prompt.shown == 1_600 and not caplog.messages
    wrapped.write_bytes(noise(wrapped, 2.0).read_bytes()[:32_044])
    assert prompts.from_file(wrapped, 16_000, 100, 0.5, 1.0).shown == 8_000
    assert "it ends at 1.00 s of 2.00 s, cut off" in caplog.text and "only 0.50 s long" in caplog.text


@pytest.mark.parametrize("residue", [0.0, 6e-4])
def test_channels_that_cancel_are_told_with_the_cure(tmp_path: Path, residue: float):
    left = np.random.default_rng(0).uniform(-0.5, 0.5, 16_000)
    path = tmp_path / "a.wav"
    sf.write(path, np.stack([left, residue - left], axis=1), 16_000, subtype="FLOAT")
    how = "all but silent" if residue else "silent throughout"
    (recording,) = make(tmp_path / "store", [path]).recordings["train"]
    assert recording.note == f"it is {how}; where its channels cancel each other, --channel left helps"
    assert recording.silent == (0.0 if residue else 1.0)
    (recording,) = make(tmp_path / "left", [path], channel="left").recordings["train"]
    assert recording.note == ""
    sf.write(path, np.full(16_000, residue / 2), 16_000, subtype="FLOAT")
    assert make(tmp_path / "mono", [path]).recordings["train"][0].note == f"it is {how}"
