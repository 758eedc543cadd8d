"""The process that decodes: what it imports, the memory it takes, and its options."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given
from hypothesis import strategies as st

from sequnet_pl.audio import decode, mulaw
from sequnet_pl.data.store.index import Options
from sequnet_pl.data.store.part import Answer, SilenceShortener, answer, part_path
from sequnet_pl.errors import UserError

try:
    HAS_FFMPEG = bool(decode.ffmpeg())
except UserError:
    HAS_FFMPEG = False


def codes_of(tmp_path: Path, path: Path, options: Options) -> tuple[Answer, np.ndarray]:
    answered = answer(path, tmp_path / "parts", options, known=[])
    assert answered.part, answered
    return answered, np.fromfile(part_path(tmp_path / "parts", answered.sha256, options), np.uint8)


def test_it_imports_nothing_heavy(tmp_path: Path):
    sf.write(tmp_path / "a.wav", np.zeros(100), 44_100)
    code = (
        "import sys; from pathlib import Path; from sequnet_pl.data.store import part\n"
        "from sequnet_pl.data.store.index import Options\n"
        "assert part.answer(Path(sys.argv[1]), Path(sys.argv[2]), Options(), []).part\n"
        "print(*{name.split('.')[0] for name in sys.modules})"
    )
    arguments = [sys.executable, "-c", code, tmp_path / "a.wav", tmp_path / "parts"]
    modules = set(subprocess.run(arguments, check=True, capture_output=True, text=True).stdout.split())
    assert {"numpy", "soxr"} <= modules
    assert not {"torch", "librosa", "scipy", "numba", "lightning", "pytorch_lightning", "matplotlib", "rich"} & modules


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells the peak of memory here")
@pytest.mark.parametrize(
    "suffix", [".flac", pytest.param(".mka", marks=pytest.mark.skipif(not HAS_FFMPEG, reason="no ffmpeg"))]
)
def test_its_memory_does_not_grow_with_the_file(tmp_path: Path, suffix: str):
    block = np.random.default_rng(0).integers(-3000, 3000, 48_000, dtype=np.int16)
    peaks = []
    for minutes in (1, 10):
        path = tmp_path / f"{minutes}.flac"
        with sf.SoundFile(path, "w", 48_000, 1) as file:
            for _ in range(minutes * 60):
                file.write(block)
        if suffix != ".flac":
            remuxed = path.with_suffix(suffix)
            subprocess.run([decode.ffmpeg(), "-v", "error", "-i", path, "-c", "copy", remuxed], check=True)
            path = remuxed
        code = (
            "import sys; from pathlib import Path\n"
            "from sequnet_pl.data.store import part as made; from sequnet_pl.data.store.index import Options\n"
            "part = made.answer(Path(sys.argv[1]), Path(sys.argv[2]), Options(), []).part\n"
            # Not getrusage, whose maximum a process inherits from the one that started it.
            "peak = Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0]\n"
            "print(part.length, int(peak) // 1024)"
        )
        arguments = [sys.executable, "-c", code, path, tmp_path / "parts"]
        done = subprocess.run(arguments, check=True, capture_output=True, text=True)
        length, megabytes = map(int, done.stdout.split())
        assert length == minutes * 60 * 16_000
        peaks.append(megabytes)
    assert peaks[1] < peaks[0] + 8, "9 minutes more are 100 MB of samples"
    assert peaks[1] < 150


def test_it_answers_job_by_job_and_ends_with_its_input(tmp_path: Path):
    sf.write(tmp_path / "a.wav", np.zeros(1600), 16_000)
    jobs = [{"path": str(tmp_path / name), "known": []} for name in ("a.wav", "b.wav", "a.wav")]
    arguments = [sys.executable, "-m", "sequnet_pl.data.store.part", tmp_path / "parts", "{}"]
    text = "".join(json.dumps(job) + "\n" for job in jobs)
    done = subprocess.run(arguments, input=text, capture_output=True, text=True, check=True, timeout=60)
    first, second, third = map(json.loads, done.stdout.splitlines())
    assert first["part"]["length"] == 1600 and first == third
    assert second["skipped"] == "No such file or directory" and second["part"] is None


def test_a_known_content_is_not_decoded(tmp_path: Path):
    sf.write(tmp_path / "a.wav", np.zeros(1600), 16_000)
    first = answer(tmp_path / "a.wav", tmp_path / "parts", Options(), known=[])
    again = answer(tmp_path / "a.wav", tmp_path / "other", Options(), known=[first.sha256])
    assert again.part is None and again.sha256 == first.sha256 and not (tmp_path / "other").exists()


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
    answered, codes = codes_of(tmp_path, tmp_path / "a.wav", Options(skip_silence=0.1))
    assert len(codes) == 3 * 1600 + 1600 + 800
    assert answered.part and answered.part.silent == pytest.approx(2400 / 7200)
    assert len(codes_of(tmp_path, tmp_path / "a.wav", Options())[1]) == 165_600


@pytest.mark.parametrize("channel", ["left", "right", "mix"])
def test_channel(tmp_path: Path, channel):
    sf.write(tmp_path / "a.wav", np.tile([[0.5, -0.25]], (1600, 1)), 16_000)
    _, codes = codes_of(tmp_path, tmp_path / "a.wav", Options(channel=channel))
    expected = mulaw.encode(np.array([{"left": 0.5, "right": -0.25, "mix": 0.125}[channel]]))
    assert np.all(codes == expected)


@pytest.mark.skipif(not HAS_FFMPEG, reason="there is no ffmpeg here")
def test_loudness(tmp_path: Path):
    """A 997 Hz tone of peak -20 dBFS has -23 LUFS on one channel: one of full scale has -3.01."""
    tone = np.sin(2 * np.pi * 997 * np.arange(16_000 * 4) / 16_000)
    for level in (0.01, 0.1, 0.9):
        sf.write(tmp_path / "a.wav", level * tone, 16_000, subtype="FLOAT")
        answered, codes = codes_of(tmp_path, tmp_path / "a.wav", Options(loudness=-23.0))
        assert answered.part and answered.part.note == ""
        assert answered.part.peak == pytest.approx(10 ** (-20 / 20), rel=0.02)  # the measure says tenths of a dB
        assert np.abs(mulaw.decode(codes)).max() == pytest.approx(0.1, rel=0.05)
        assert codes_of(tmp_path, tmp_path / "a.wav", Options())[0].part.peak == pytest.approx(level, rel=1e-3)


@pytest.mark.skipif(not HAS_FFMPEG, reason="there is no ffmpeg here")
def test_loudness_never_clips_and_leaves_alone_what_it_cannot_measure(tmp_path: Path):
    clicks = np.random.default_rng(0).normal(0, 0.002, 64_000)
    clicks[::8000] = 0.8
    sf.write(tmp_path / "a.wav", clicks, 16_000, subtype="FLOAT")
    part = codes_of(tmp_path, tmp_path / "a.wav", Options(loudness=-5.0))[0].part
    assert part and part.peak == pytest.approx(1) and "less loud" in part.note
    sf.write(tmp_path / "b.wav", np.full(1600, 0.25), 16_000)
    answered, codes = codes_of(tmp_path, tmp_path / "b.wav", Options(loudness=-23.0))
    assert answered.part and "too short or too quiet" in answered.part.note
    assert np.all(codes == mulaw.encode(np.array([0.25])))
    sf.write(tmp_path / "c.wav", np.zeros(32_000), 16_000)
    assert np.all(codes_of(tmp_path, tmp_path / "c.wav", Options(loudness=-23.0))[1] == mulaw.SILENCE)
