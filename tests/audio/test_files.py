"""Files of every kind to mono samples at a rate, and what cannot be read."""

import errno
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import soxr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sounds import FFMPEG, assert_close, encode, needs_ffmpeg, sine, whole

from sequnet_pl import atomic
from sequnet_pl.audio import decode, files, sound
from sequnet_pl.audio.decode import Damaged, Undecodable
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


def mp3(path: Path, seconds: float = 4) -> bytes:
    sf.write(path, sine(seconds, 32_000), 32_000, format="MP3")
    return path.read_bytes()


def test_a_truncated_mp3_is_used_as_far_as_it_decodes(tmp_path: Path):
    content = mp3(tmp_path / "a.mp3")
    (tmp_path / "a.mp3").write_bytes(content[: len(content) // 2])
    with pytest.raises(Damaged, match=r"a\.mp3 is damaged: it ends at .* s of (3\.9|4\.0)\d s, cut off"):
        whole(tmp_path / "a.mp3")
    got = files.read(tmp_path / "a.mp3", 16_000)
    assert 16_000 < len(got) < 48_000
    assert_close(got[:16_000], sine(4, 16_000)[:16_000], 0.02)


def test_a_damaged_flac_is_used_as_far_as_it_decodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sound, "BLOCK", 4096)
    sf.write(tmp_path / "a.flac", sine(4, 16_000), 16_000)
    content = (tmp_path / "a.flac").read_bytes()
    (tmp_path / "a.flac").write_bytes(content[: len(content) // 2])
    with pytest.raises(Damaged):
        whole(tmp_path / "a.flac")
    got = files.read(tmp_path / "a.flac", 16_000)
    assert_close(got, sine(4, 16_000)[: len(got)], 1e-3)


@needs_ffmpeg
def test_a_truncated_webm_is_used_as_far_as_it_decodes(tmp_path: Path):
    sf.write(tmp_path / "a.wav", np.random.default_rng(0).uniform(-0.5, 0.5, 200_000), 48_000)
    path = encode(tmp_path / "a.wav", tmp_path / "a.webm")
    path.write_bytes(path.read_bytes()[:-20_000])
    with pytest.raises(Damaged, match=r"a\.webm"):
        whole(path)
    assert 16_000 < len(files.read(path, 16_000)) < 60_000


def _text(path: Path) -> None:
    path.write_text("these are the words of a song\n" * 50)


def _empty(path: Path) -> None:
    path.touch()


def _stub(path: Path) -> None:
    path.write_bytes(mp3(path)[:500])


def _nan(path: Path) -> None:
    sf.write(path, np.where(np.arange(90_000) == 80_000, np.nan, 0.1), 16_000, format="WAV", subtype="FLOAT")


def _infinite(path: Path) -> None:
    sf.write(path, np.array([0.0, -np.inf]), 16_000, format="WAV", subtype="FLOAT")


def _no_samples(path: Path) -> None:
    sf.write(path, np.empty(0), 16_000, format="WAV")


def _folder(path: Path) -> None:
    path.mkdir()


def _nothing(_: Path) -> None:
    pass


def _playlist(path: Path) -> None:
    sf.write(path.with_name("other.wav"), sine(1, 16_000), 16_000)
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nother.wav\n#EXT-X-ENDLIST\n")


def _moov_cut(path: Path) -> None:
    path.write_bytes(b"\0\0\0\x20ftypM4A \0\0\0\0M4A mp42isom\0\0\0\0" + bytes(5000))


@pytest.mark.parametrize(
    ("make", "name", "why"),
    [
        (_text, "a.wav", "not audio"),
        (_text, "a.m4a", "not audio"),
        (_empty, "a.wav", "empty"),
        (_stub, "a.mp3", "not audio"),
        (_nan, "a.wav", "NaN or infinite samples .*5.00 s"),
        (_infinite, "a.wav", "NaN or infinite"),
        (_no_samples, "a.wav", "no audio"),
        (_folder, "a.wav", "it is a folder"),
        (_nothing, "a.wav", "No such file"),
        (_playlist, "a.m4a", "not audio"),
        (_moov_cut, "a.m4a", "not audio"),
    ],
)
def test_what_cannot_be_read_is_one_line_that_names_it(tmp_path: Path, make, name: str, why: str):
    make(tmp_path / name)
    with pytest.raises(UserError, match=why) as caught:
        whole(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)
    assert "\n" not in str(caught.value)


@needs_ffmpeg
def test_a_film_without_sound(tmp_path: Path):
    film = ["-f", "lavfi", "-i", "color=c=black:s=16x16:d=0.2"]
    subprocess.run([FFMPEG, "-nostdin", "-v", "error", *film, str(tmp_path / "a.mp4")], check=True)
    with pytest.raises(Undecodable, match="has no audio"):
        whole(tmp_path / "a.mp4")


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
