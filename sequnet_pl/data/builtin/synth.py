"""Renditions of scores: rubato, phrasing and pedal, in another key each time, on struck strings in a small room."""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sequnet_pl.data.builtin.pieces import Piece

_SEMITONES = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}
_CHORDS = {"": (0, 4, 7, 12), "m": (0, 3, 7, 12), "7": (0, 4, 7, 10)}
_LOWEST_ROOT = 45  # A2: closed chords below it sound muddy
_PHRASE_BARS = 4
_GRID = 48  # points a beat on which tempo is integrated
_BLOCK = 256  # samples; see _damped_sines
_MODES = 24  # most partials a string has
_LEAD_IN = 0.03  # seconds before the first note: a clip from silence should not wait long either
_TAIL = 1.2  # seconds after the last key is let go
_NOISE_FLOOR = 1.0e-4  # about -80 dB: a quiet room is not digital silence, which only lies before a recording


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


def record(piece: Piece, seed: str, rate: int) -> NDArray[np.float32]:
    """Render `piece`; another `seed` gives another rendition."""
    rng = np.random.default_rng(zlib.crc32(seed.encode()))
    return synthesise(render(piece, rng), rate, rng)


def synthesise(notes: Sequence[Note], rate: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Sound `notes` on a piano in a small room: mono samples at `rate` Hz with a peak of 0.5 to 0.9.

    `rng` draws what differs between two recordings: hammer noise, the room, the level, the noise floor.
    """
    seconds = _LEAD_IN + max((note.onset + note.duration for note in notes), default=0.0) + _TAIL
    dry = np.zeros(round(seconds * rate))
    for note in notes:
        start = round((_LEAD_IN + note.onset) * rate)
        tone = _strike(note, rate, rng)[: len(dry) - start]
        dry[start : start + len(tone)] += tone
    wet = _in_room(dry, rate, rng)
    wet *= rng.uniform(0.5, 0.9) / max(float(np.abs(wet).max()), 1e-9)
    fade = round(0.3 * rate)
    wet[-fade:] *= np.linspace(1, 0, fade) ** 2
    return (wet + _NOISE_FLOOR * rng.standard_normal(len(wet))).astype(np.float32)


def _strike(note: Note, rate: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """The sound of one key, from the hammer to the end of its damping."""
    frequencies, amplitudes, decays = _partials(note, rate)
    damping = 0.05 * 2 ** ((60 - note.pitch) / 24)  # seconds; the damper of a thick string takes longer
    length = round((note.duration + 6 * damping) * rate)
    tone = _damped_sines(frequencies / rate, amplitudes, decays / rate, length)

    attack = round((0.0035 - 0.002 * note.velocity) * rate)
    tone[:attack] *= 0.5 - 0.5 * np.cos(np.pi * np.arange(attack) / attack)
    released = round(note.duration * rate)
    tone[released:] *= np.exp(-np.arange(length - released) / (damping * rate))

    knock = round(0.03 * rate)
    noise = np.convolve(rng.standard_normal(knock), np.hanning(10)[1:-1], mode="same")  # dull: felt on wire
    tone[:knock] += 0.015 * noise * np.exp(-np.arange(knock) / (0.006 * rate))
    return note.velocity**1.7 * tone


def _partials(note: Note, rate: int) -> tuple[NDArray[np.float64], NDArray[np.complex128], NDArray[np.float64]]:
    """Frequencies (Hz), complex amplitudes and decays (1/s) of what a struck key sets going.

    A partial is two modes: a strong one that fades soon and a weak one, a little out of tune, that sings on (strings of
    one key couple through the bridge). Stiffness stretches the partials; a harder blow is brighter.
    """
    pitch, velocity = note.pitch, note.velocity
    order = np.arange(1, _MODES + 1, dtype=np.float64)
    fundamental = 440.0 * 2 ** ((pitch - 69) / 12)
    stiffness = 3.0e-4 * 2 ** ((max(pitch, 48) - 60) / 7.5)
    frequencies = fundamental * order * np.sqrt(1 + stiffness * order**2)
    keep = frequencies < 0.45 * rate
    order, frequencies = order[keep], frequencies[keep]

    position = np.abs(np.sin(np.pi * order / 7.7)) + 0.05  # struck near a seventh, whose partial is weak
    brightness = 250 + 900 * velocity + 0.6 * fundamental  # Hz
    size = position * order**-0.5 * np.exp(-frequencies / brightness)
    size /= np.sqrt(np.sum(size**2))
    phases = 0.37 * np.pi * order**2  # spread, so that the partials do not all peak at once

    slow = 2 ** ((pitch - 60) / 20) * (0.2 + 0.3 * (frequencies / 1000) ** 1.3)
    thump = np.array([83.0, 171.0])  # the soundboard, knocked by key and hammer
    sizes = np.concatenate([0.82 * size, 0.18 * size, [0.06, 0.04]])
    return (
        np.concatenate([frequencies, frequencies * 1.0004 + 0.15, thump]),
        sizes * np.exp(1j * np.concatenate([phases, phases, [1.5, 1.5]])),
        np.concatenate([4.5 * slow, slow, [35.0, 50.0]]),
    )


def _damped_sines(
    frequencies: NDArray[np.float64], amplitudes: NDArray[np.complex128], decays: NDArray[np.float64], length: int
) -> NDArray[np.float64]:
    """Sum of exponentially damped sinusoids (frequencies in cycles, decays in nepers a sample), `length` samples.

    An exponential of block + offset is a product of one of each, so that the sum over modes is one matrix product.
    """
    poles = 2j * np.pi * frequencies - decays
    starts, within = np.arange(0, length, _BLOCK)[:, None], np.arange(_BLOCK)
    blocks: NDArray[np.complex128] = amplitudes * np.exp(starts * poles)  # (blocks, modes)
    offsets: NDArray[np.complex128] = np.exp(poles[:, None] * within)  # (modes, _BLOCK)
    return (blocks.real @ offsets.real - blocks.imag @ offsets.imag).ravel()[:length]


def _in_room(dry: NDArray[np.float64], rate: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Add a modest room: a few early reflections and a short, dull, diffuse tail."""
    length = round(0.35 * rate)
    times = np.arange(length) / rate
    diffuse = np.convolve(rng.standard_normal(length), np.hanning(8)[1:-1], mode="same")
    response = 0.006 * diffuse * np.exp(-times / 0.07) * (times > 0.012)
    response[np.round(rng.uniform(0.004, 0.03, 5) * rate).astype(int)] += rng.uniform(-0.12, 0.12, 5)
    response[0] = 1.0
    size = len(dry) + length
    return np.fft.irfft(np.fft.rfft(dry, size) * np.fft.rfft(response, size), size)[: len(dry)]
