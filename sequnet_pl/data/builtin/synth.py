"""A small synthesiser of struck strings, in a small room."""

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sequnet_pl.data.builtin.performance import Note, render
from sequnet_pl.data.builtin.pieces import Piece

_BLOCK = 256  # samples; see _damped_sines
_MODES = 24  # most partials a string has
_LEAD_IN = 0.03  # seconds before the first note: a clip begun from silence should not wait long either
_TAIL = 1.2  # seconds after the last key is let go
_NOISE_FLOOR = 1.0e-4  # about -80 dB: a quiet room is not digital silence, which only lies before a recording


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
