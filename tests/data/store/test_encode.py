"""The codes of one file: silence, channel, loudness, notes and memory."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given
from hypothesis import strategies as st

from sequnet_pl.audio import mulaw
from sequnet_pl.audio.decode import Channel
from sequnet_pl.data.store.encode import SilenceShortener, encode_file, part_of
from sequnet_pl.data.store.index import Options, Recording


def codes_of(tmp_path: Path, path: Path, options: Options) -> tuple[Recording, np.ndarray]:
    (tmp_path / "parts").mkdir(exist_ok=True)
    recording = encode_file(str(path), tmp_path / "parts", options)
    return recording, np.fromfile(part_of(tmp_path / "parts", str(path)), np.uint8)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux has the peak of memory there")
def test_its_memory_does_not_grow_with_the_file(tmp_path: Path):
    block = np.random.default_rng(0).integers(-3000, 3000, 48_000, dtype=np.int16)
    peaks = []
    for minutes in (1, 5):
        path = tmp_path / f"{minutes}.flac"
        with sf.SoundFile(path, "w", 48_000, 1) as file:
            for _ in range(minutes * 60):
                file.write(block)
        code = (
            "import sys; from pathlib import Path; from sequnet_pl.data.store.encode import encode_file\n"
            "from sequnet_pl.data.store.index import Options\n"
            "recording = encode_file(sys.argv[1], Path(sys.argv[2]), Options())\n"
            # Not getrusage, whose maximum a process inherits from the one that started it.
            "peak = Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0]\n"
            "print(recording.length, int(peak) // 1024)"
        )
        arguments = [sys.executable, "-c", code, path, tmp_path]
        done = subprocess.run(arguments, check=True, capture_output=True, text=True)
        length, megabytes = map(int, done.stdout.split())
        assert length == minutes * 60 * 16_000
        peaks.append(megabytes)
    assert peaks[1] < peaks[0] + 8, "4 minutes more are 46 MB of samples"
    assert peaks[1] < 150


@given(
    runs=st.lists(st.tuples(st.booleans(), st.integers(1, 12)), min_size=1, max_size=20),
    limit=st.integers(1, 6),
    cuts=st.lists(st.integers(1, 10), max_size=30),
)
def test_silence_is_cut_down_to_its_limit_wherever_blocks_end(runs: list, limit: int, cuts: list[int]):
    codes = np.concatenate([np.full(length, mulaw.SILENCE if silent else 7, np.uint8) for silent, length in runs])
    expected, run = [], 0
    for code in codes:
        run = run + 1 if code == mulaw.SILENCE else 0
        if run <= limit:
            expected.append(code)
    shorten = SilenceShortener(limit)
    blocks = [block for block in np.split(codes, np.minimum(np.cumsum(cuts), len(codes))) if len(block)]
    assert np.concatenate([shorten(block) for block in blocks]).tolist() == expected


def test_skipping_silence(tmp_path: Path):
    tone = np.full(1600, 0.5)
    sf.write(tmp_path / "a.wav", np.concatenate([tone, np.zeros(160_000), tone, np.zeros(800), tone]), 16_000)
    recording, codes = codes_of(tmp_path, tmp_path / "a.wav", Options(skip_silence=0.1))
    assert len(codes) == 3 * 1600 + 1600 + 800
    assert recording.silent == pytest.approx(2400 / 7200)


def test_loudness_never_clips_and_keeps_what_it_cannot_measure(tmp_path: Path):
    """A 997 Hz tone of peak -20 dBFS has -23 LUFS on one channel: one of full scale has -3.01."""
    tone = np.sin(2 * np.pi * 997 * np.arange(16_000 * 4) / 16_000)
    clicks = np.random.default_rng(0).normal(0, 0.002, 64_000)
    clicks[::8000] = 0.8
    less, unmeasured = "less loud than requested", "too short or too quiet to measure its loudness, left as it is"
    cases = [
        (0.01 * tone, -23.0, 0.1, ""),
        (0.9 * tone, -23.0, 0.1, ""),
        (clicks, -5.0, 1.0, less),
        (np.full(1600, 0.25), -23.0, 0.25, unmeasured),
        (np.zeros(1600), -23.0, 0.0, unmeasured),
    ]
    for samples, loudness, peak, note in cases:
        sf.write(tmp_path / "a.wav", samples, 16_000, subtype="FLOAT")
        recording, codes = codes_of(tmp_path, tmp_path / "a.wav", Options(loudness=loudness))
        assert recording.peak == pytest.approx(peak, rel=0.02)  # measured in tenths of a dB
        assert np.abs(mulaw.decode(codes)).max() == pytest.approx(peak, rel=0.05, abs=1e-4)
        assert note in recording.note and bool(recording.note) == bool(note)


@pytest.mark.parametrize("residue", [0.0, 6e-4])
def test_channels_that_cancel_have_a_note_with_advice(tmp_path: Path, residue: float):
    left = np.random.default_rng(0).uniform(-0.5, 0.5, 16_000)
    advice = "; where its channels cancel each other, --channel left helps"
    mono, stereo = np.full(16_000, residue / 2), np.stack([left, residue - left], axis=1)
    cases: list[tuple[np.ndarray, Channel, str]] = [
        (stereo, "mix", f"it is silent, or nearly so{advice}"),
        (stereo, "left", ""),
        (mono, "mix", "it is silent, or nearly so"),
    ]
    for samples, channel, note in cases:
        sf.write(tmp_path / "a.wav", samples, 16_000, subtype="FLOAT")
        recording, _ = codes_of(tmp_path, tmp_path / "a.wav", Options(channel=channel))
        assert recording.note == note
        assert recording.silent == pytest.approx(0 if residue or channel == "left" else 1, abs=0.01)
