"""Files of every kind to mono samples at a rate."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import soxr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sounds import assert_close, encode, needs_ffmpeg, sine, whole

from sequnet_pl import atomic
from sequnet_pl.audio import decode, files, sound
from sequnet_pl.audio.decode import Undecodable
from sequnet_pl.errors import UsageError, UserError


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_wav_of_any_depth_rate_and_channels(tmp_path: Path, subtype: str, rate: int, channels: int):
    path = tmp_path / "a.wav"
    sf.write(path, np.stack([sine(0.5, rate)] * channels, axis=1), rate, subtype=subtype)
    assert_close(whole(path), sine(0.5, 16_000), 0.02 if subtype == "PCM_U8" else 1e-3)


@pytest.mark.parametrize(
    ("name", "form", "subtype", "error"),
    [
        ("a.flac", "FLAC", "PCM_24", 1e-3),
        ("a.ogg", "OGG", "VORBIS", 0.02),
        ("a.opus", "OGG", "OPUS", 0.02),
        ("a.mp3", "MP3", "MPEG_LAYER_III", 0.02),
        ("a.aiff", "AIFF", "PCM_16", 1e-3),
        ("a.aifc", "AIFF", "FLOAT", 1e-3),
        ("a.caf", "CAF", "PCM_16", 1e-3),
        ("a.CAF", "CAF", "ALAC_16", 1e-3),
        ("a.snd", "AU", "PCM_16", 1e-3),
        ("a.wave", "WAV", "PCM_16", 1e-3),
        ("a.bwf", "WAVEX", "PCM_24", 1e-3),
        ("a.rf64", "RF64", "PCM_16", 1e-3),
        ("a.W64", "W64", "PCM_16", 1e-3),
    ],
)
def test_formats_of_soundfile(tmp_path: Path, name: str, form: str, subtype: str, error: float):
    sf.write(tmp_path / name, np.stack([sine(1, 48_000)] * 2, axis=1), 48_000, format=form, subtype=subtype)
    assert files.find(tmp_path).files == [tmp_path / name]
    assert_close(whole(tmp_path / name), sine(1, 16_000), error)


@needs_ffmpeg
@pytest.mark.parametrize("name", ["a.m4a", "a.mp4", "a.aac", "a.webm", "-odd: name.mka", "matroska.wav"])
def test_formats_of_ffmpeg(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch):
    sf.write(tmp_path / "source.wav", np.stack([sine(1, 48_000)] * 2, axis=1), 48_000)
    made = encode(tmp_path / "source.wav", tmp_path / ("a.mka" if name == "matroska.wav" else f"a{Path(name).suffix}"))
    made.rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    if name == "a.aac":  # says nothing of the encoder's delay, which is 1024 samples at 48 kHz
        assert_close(whole(Path(name))[341:], sine(1, 16_000), 0.05, slack=700)
    else:
        assert_close(whole(Path(name)), sine(1, 16_000), 0.02)
    assert np.array_equal(files.read(Path(name), 16_000, 0.0, 0.25), whole(Path(name))[:4000])


def test_channels(tmp_path: Path):
    path = tmp_path / "a.wav"
    sf.write(path, np.tile([[0.5, -0.25]], (1000, 1)), 16_000, subtype="FLOAT")
    for channel, value in (("left", 0.5), ("right", -0.25), ("mix", 0.125)):
        assert np.all(whole(path, channel=channel) == value)
    sf.write(path, np.full(1000, 0.5), 16_000, subtype="FLOAT")
    for channel in ("left", "right", "mix"):
        assert np.all(whole(path, channel=channel) == 0.5)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    length=st.integers(1, 5000),
    block=st.integers(1, 700),
    rates=st.sampled_from([(48_000, 16_000), (44_100, 16_000), (8_000, 16_000), (22_050, 16_000), (16_000, 16_000)]),
)
def test_block_boundaries_leave_no_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int, block: int, rates: tuple[int, int]
):
    monkeypatch.setattr(sound, "BLOCK", block)
    samples = np.random.default_rng(length).uniform(-0.9, 0.9, length).astype(np.float32)
    sf.write(tmp_path / "a.wav", samples, rates[0], subtype="FLOAT")
    expected = soxr.resample(samples, *rates)
    if len(expected):
        got = whole(tmp_path / "a.wav", rates[1])
        assert abs(len(got) - len(expected)) <= 1
        np.testing.assert_allclose(got[: len(expected)], expected[: len(got)], atol=1e-5)


def test_a_tenth_of_a_second(tmp_path: Path):
    for rate in (8_000, 44_100):
        sf.write(tmp_path / "a.wav", sine(0.1, rate), rate)
        assert len(whole(tmp_path / "a.wav")) == 1600


def test_a_part_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    decoded = 0

    def counted(*arguments):
        nonlocal decoded
        for rate, block in decode.frames(*arguments):
            decoded += len(block)
            yield rate, block

    monkeypatch.setattr(files, "frames", counted)
    monkeypatch.setattr(sound, "BLOCK", 1000)
    tone = sine(4, 16_000)
    sf.write(tmp_path / "a.flac", tone, 16_000, subtype="PCM_24")
    for start, seconds in ((0.0, 0.5), (1.25, 0.1), (3.9, 5.0), (0.0, None), (2.0, None)):
        decoded = 0
        first = round(start * 16_000)
        last = None if seconds is None else first + round(seconds * 16_000)
        assert_close(files.read(tmp_path / "a.flac", 16_000, start, seconds), tone[first:last], 1e-5, slack=0)
        assert decoded <= len(tone[first:last]) + 1000


@needs_ffmpeg
def test_a_part_of_a_file_by_ffmpeg_lies_where_it_should(tmp_path: Path):
    sf.write(tmp_path / "a.wav", sine(3, 48_000), 48_000)
    path = encode(tmp_path / "a.wav", tmp_path / "a.m4a")
    part = files.read(path, 16_000, 1.0, 0.5)
    assert_close(part[100:], whole(path)[16_100:24_000], 1e-3, slack=0)  # the resampler starts anew


@pytest.mark.parametrize(("start", "seconds"), [(-1.0, 1.0), (0.0, 0.0), (0.0, -2.0)])
def test_a_part_that_cannot_be(tmp_path: Path, start: float, seconds: float):
    sf.write(tmp_path / "a.wav", sine(1, 16_000), 16_000)
    with pytest.raises(UsageError):
        files.read(tmp_path / "a.wav", 16_000, start, seconds)
    with pytest.raises(UsageError, match="sample rate"):
        files.read(tmp_path / "a.wav", 0)


@pytest.mark.parametrize("name", ["a.flac", pytest.param("a.m4a", marks=needs_ffmpeg)])
def test_a_start_behind_the_end(tmp_path: Path, name: str):
    sf.write(tmp_path / "a.flac", sine(1, 16_000), 16_000)
    path = tmp_path / name
    if not path.exists():
        encode(tmp_path / "a.flac", path)
    with pytest.raises(Undecodable, match=name):
        files.read(path, 16_000, 60.0, 1.0)


def test_a_clip_comes_back(tmp_path: Path):
    samples = np.append(sine(1, 16_000), [1.5, -1.5])
    files.write_wav(tmp_path / "new/clip.wav", samples, 16_000)
    info = sf.info(tmp_path / "new/clip.wav")
    assert (info.samplerate, info.channels, info.subtype) == (16_000, 1, "PCM_16")
    assert_close(whole(tmp_path / "new/clip.wav"), np.clip(samples, -1, 1), 1e-4, slack=0)


def test_a_clip_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="folder"):
        files.write_wav(tmp_path / "file/clip.wav", np.zeros(10), 16_000)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    files.write_wav(tmp_path / "clip.wav", np.zeros(10), 16_000)
    before = (tmp_path / "clip.wav").read_bytes()
    monkeypatch.setattr(atomic, "_publish", full)
    with pytest.raises(UserError, match="space"):
        files.write_wav(tmp_path / "clip.wav", np.ones(10), 16_000)
    assert (tmp_path / "clip.wav").read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["clip.wav", "file"]
