"""Play a score: notes in beats to notes in seconds, with rubato, phrasing, pedal and another key each time."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sequnet_pl.data.builtin.pieces import Piece

_SEMITONES = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}
_CHORDS = {"": (0, 4, 7, 12), "m": (0, 3, 7, 12), "7": (0, 4, 7, 10)}
_LOWEST_ROOT = 45  # A2: closed chords below it sound muddy
_PHRASE_BARS = 4
_GRID = 48  # points a beat on which tempo is integrated


@dataclass(frozen=True)
class Note:
    """A key struck at `onset` and let go `duration` later (seconds): MIDI number `pitch`, `velocity` in (0, 1]."""

    onset: float
    duration: float
    pitch: int
    velocity: float


@dataclass(frozen=True)
class ScoreNote:
    """A note of a score; `onset`, `duration` and `chord_end` (until which a pedal holds it) in beats."""

    onset: float
    duration: float
    chord_end: float
    pitch: int
    melody: bool


def melody_notes(melody: str) -> list[ScoreNote]:
    """Read a melody (see pieces.py)."""
    notes, beat, octave, duration = [], 0.0, 4, 1.0
    for token in melody.replace("|", " ").split():
        name, _, length = token.partition(":")
        duration = float(length or duration)
        if name != "r":
            octave = int(name[-1]) if name[-1].isdigit() else octave
            notes.append(ScoreNote(beat, duration, beat + duration, _pitch(name, octave), melody=True))
        beat += duration
    return notes


def chord_notes(piece: Piece) -> list[ScoreNote]:
    """Play the piece's figure on its chords."""
    notes = []
    for start, end, chord in _chord_spans(piece):
        for index, beat in enumerate(np.arange(start, end - 1e-9, piece.step).tolist()):
            duration = min(piece.step, end - beat)
            for voice in piece.figure[index % len(piece.figure)]:
                notes.append(ScoreNote(beat, duration, end, chord[voice], melody=False))
    return notes


def render(piece: Piece, rng: np.random.Generator) -> list[Note]:
    """Return a rendition of `piece`, by onset: its key, tempo, rubato, dynamics and pedal are drawn from `rng`."""
    score = sorted(melody_notes(piece.melody) + chord_notes(piece), key=lambda note: note.onset)
    shift = int(rng.integers(-4, 5))
    loudness = rng.uniform(0.5, 0.75)
    pedal = rng.random() < 0.6
    beats, seconds = _tempo_curve(piece, max(note.onset + note.duration for note in score), rng)
    start = np.interp(score[0].onset, beats, seconds)  # a pickup's rests are not waited for
    notes = []
    for note in score:
        end = note.chord_end if pedal and not note.melody else note.onset + note.duration * rng.uniform(0.85, 1.0)
        onset, release = np.interp([note.onset, end], beats, seconds) - start
        onset = max(0.0, onset + rng.normal(0, 0.006))
        phrase = note.onset / (piece.beats_per_bar * _PHRASE_BARS) % 1
        accent = 0.06 * (note.onset % piece.beats_per_bar == 0)
        velocity = loudness + 0.12 * np.sin(np.pi * phrase) + accent + rng.normal(0, 0.04)
        velocity *= 1.0 if note.melody else 0.7
        duration = max(0.06, release - onset)
        notes.append(Note(float(onset), float(duration), note.pitch + shift, float(np.clip(velocity, 0.1, 1.0))))
    return sorted(notes, key=lambda note: note.onset)


def _pitch(name: str, octave: int) -> int:
    return 12 * (octave + 1) + _SEMITONES[name[0]] + name.count("#") - name[1:].count("b")


def _chord(name: str) -> tuple[int, ...]:
    if "." in name:
        return tuple(_pitch(note, int(note[-1])) for note in name.split("."))
    letters = name.rstrip("m7")
    root = _LOWEST_ROOT + (_pitch(letters.lower(), 0) - _LOWEST_ROOT) % 12
    return tuple(root + interval for interval in _CHORDS[name.removeprefix(letters)])


def _chord_spans(piece: Piece) -> Iterator[tuple[float, float, tuple[int, ...]]]:
    for bar, text in enumerate(piece.chords.split("|")):
        names = text.split()
        length = piece.beats_per_bar / len(names)
        for index, name in enumerate(names):
            start = bar * piece.beats_per_bar + index * length
            if name != "-":
                yield start, start + length, _chord(name)


def _tempo_curve(piece: Piece, last_beat: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Points in beats and the seconds at which they come: slow waves by phrase, slower towards the end."""
    beats = np.arange(int(np.ceil(last_beat)) * _GRID + 1) / _GRID
    phrase = piece.beats_per_bar * _PHRASE_BARS
    speed = 1 + 0.05 * np.sin(2 * np.pi * (beats / phrase + rng.random()))
    speed += 0.04 * np.sin(2 * np.pi * (beats / (0.37 * phrase) + rng.random()))
    speed *= 1 - 0.3 * np.clip(1 - (last_beat - beats) / piece.beats_per_bar, 0, 1)
    tempo = piece.tempo * rng.uniform(0.92, 1.08)
    return beats, np.concatenate([[0.0], np.cumsum(60 / tempo / _GRID / speed[:-1])])
