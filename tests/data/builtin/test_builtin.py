import itertools
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sequnet_pl.data import builtin
from sequnet_pl.data.builtin.pieces import PIECES, Piece
from sequnet_pl.data.builtin.synth import Note, chord_notes, melody_notes, record, render, synthesise
from sequnet_pl.data.splits import SPLITS, Parts
from sequnet_pl.errors import UserError

RATE = 16_000


@pytest.fixture
def short_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = [Piece(f"{split}_piece", split, 240, 4, "c4:1 e g c5", "C", ((0,), (1, 2)), 1) for split in SPLITS]
    monkeypatch.setattr(builtin, "PIECES", pieces)


def contents(made: Parts) -> list[bytes]:
    return [path.read_bytes() for paths in made.values() for path in paths]


def test_a_score_is_read() -> None:
    melody = melody_notes("g4:1 a:.5 c5 | r:1 f#")
    expected = [(0, 1, 67), (1, 0.5, 69), (1.5, 0.5, 72), (3, 1, 78)]
    assert [(note.onset, note.duration, note.pitch) for note in melody] == expected
    piece = Piece("x", "train", 60, 2, "", "Am | c3.e3 -", ((0,), (1,)), 0.5)
    found = [(note.onset, note.pitch, note.chord_end) for note in chord_notes(piece)]
    assert found == [(0, 45, 2), (0.5, 48, 2), (1, 45, 2), (1.5, 48, 2), (2, 48, 3), (2.5, 52, 3)]


def test_two_renditions_differ_and_one_seed_repeats() -> None:
    first, again, other = (render(PIECES[0], np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first == again != other
    assert all(0 < note.velocity <= 1 and note.duration > 0 for note in first)
    assert 0 <= first[0].onset < 0.05


@pytest.mark.parametrize("pitch", [40, 60, 69, 84])
def test_a_tone_has_its_pitch_and_dies_away(pitch: int) -> None:
    sound = synthesise([Note(0.0, 2.0, pitch, 0.6)], RATE, np.random.default_rng(0))
    assert sound.dtype == np.float32
    spectrum = np.abs(np.fft.rfft(sound[2000:18_000]))
    partial = np.argmax(spectrum) / (440 * 2 ** ((pitch - 69) / 12))  # the window is a second: bins are Hz
    assert round(partial) >= 1
    assert partial == pytest.approx(round(partial), rel=0.01)
    loudness = [float(np.abs(sound[start : start + RATE // 4]).max()) for start in range(0, 2 * RATE, RATE // 4)]
    assert all(later < 1.5 * earlier for earlier, later in itertools.pairwise(loudness))  # its strings beat
    assert loudness[-1] < 0.4 * loudness[0]
    assert np.abs(sound[-RATE // 10 :]).max() < 0.002


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
def test_level_and_length_at_any_rate(rate: int) -> None:
    notes = [Note(0.0, 0.5, 60, 0.9), Note(0.4, 0.6, 88, 0.2)]
    sound = synthesise(notes, rate, np.random.default_rng(0))
    assert 0.49 < np.abs(sound).max() < 0.91
    assert len(sound) == pytest.approx(2.23 * rate, abs=2)
    assert np.array_equal(sound, synthesise(notes, rate, np.random.default_rng(0)))
    assert 0 < np.abs(synthesise([], rate, np.random.default_rng(0))).max() < 0.001  # the noise of a room


@pytest.mark.usefixtures("short_pieces")
def test_recordings_are_written_once_and_more_renditions_are_added(tmp_path: Path) -> None:
    two = builtin.write_recordings(tmp_path / "made", workers=1)
    assert {split: [path.name for path in found] for split, found in two.items()} == {
        "train": ["train_piece_1.flac", "train_piece_2.flac"],
        "val": ["val_piece_1.flac"],
        "test": ["test_piece_1.flac"],
    }
    about = soundfile.info(two["val"][0])
    assert (about.samplerate, about.channels, about.subtype) == (RATE, 1, "PCM_16")
    stamps = {path: path.stat().st_mtime_ns for paths in two.values() for path in paths}
    five = builtin.write_recordings(tmp_path / "made", renditions=5, workers=3)
    assert [path.name for path in five["train"]] == [f"train_piece_{number}.flac" for number in range(1, 6)]
    assert [len(five[split]) for split in ("val", "test")] == [1, 1]
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in stamps.items())
    again = builtin.write_recordings(tmp_path / "again", renditions=5)
    assert contents(five) == contents(again)
    assert len(set(contents(five))) == 7


def test_recordings_are_what_they_were() -> None:
    """Up to rounding: scores on them compare with those of former versions."""
    sound = record(PIECES[4], f"{PIECES[4].name}_1", RATE)
    assert len(sound) == 311_569
    assert sound[100_000:100_004] == pytest.approx([-0.041618, -0.085018, -0.124209, -0.154384], abs=2e-6)


@pytest.mark.usefixtures("short_pieces")
def test_what_ends_a_process_is_one_line_and_the_rest_is_made_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dying(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    with monkeypatch.context() as patch, pytest.raises(UserError, match=r"train_piece_1.flac died"):
        patch.setattr(builtin, "record", dying)  # in the forked processes too
        builtin.write_recordings(tmp_path, workers=1)
    (tmp_path / "val").touch()
    with pytest.raises(UserError, match=r"cannot make the folder .*val: .*"):
        builtin.write_recordings(tmp_path)
    (tmp_path / "val").unlink()
    assert all(path.is_file() for paths in builtin.write_recordings(tmp_path).values() for path in paths)
