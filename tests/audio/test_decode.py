"""Audio files to mono samples at a rate: of every kind, cut off and damaged, and what is refused in one line."""

import errno
import os
import pickle
import signal
import struct
import subprocess
import sys
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import imageio_ffmpeg
import numpy as np
import pytest
import soundfile as sf
import soxr

from sequnet_pl.audio import decode, files
from sequnet_pl.audio.decode import DecodeError, TruncatedAudioError, UnavailableError, frames, mono
from sequnet_pl.errors import UserError


def sine(seconds: float, rate: int) -> np.ndarray:
    """A swelling 440 Hz tone (T,), so that a shift in time shows too."""
    time = np.arange(round(seconds * rate)) / rate
    return 0.5 * np.sin(2 * np.pi * 440 * time) * np.sin(np.pi * time / seconds) ** 2


def whole(path: Path, rate: int = 16_000, channel: decode.Channel = "mix") -> np.ndarray:
    return np.concatenate(list(mono(path, rate, channel)))


def encode(source: Path, target: Path, *options: str) -> Path:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", "-y", "-i", str(source), *options]
    subprocess.run([*command, str(target)], check=True)
    return target


def made(folder: Path, name: str, *options: str, seconds: float = 2, rate: int = 44_100, channels: int = 1) -> bytes:
    """The content of a file of the tone that the ffmpeg program made."""
    sf.write(folder / "source.wav", np.stack([sine(seconds, rate)] * channels, axis=1), rate)
    return encode(folder / "source.wav", folder / name, *options).read_bytes()


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def assert_close(samples: np.ndarray, expected: np.ndarray, error: float, slack: int = 1) -> None:
    assert samples.dtype == np.float32 and samples.ndim == 1
    assert abs(len(samples) - len(expected)) <= slack
    length = min(len(samples), len(expected))
    assert np.abs(samples[:length] - expected[:length]).max() < error


def test_find_goes_down_in_order_and_skips_hidden_files(tmp_path: Path):
    for name in ("b.WAV", "a/z.mp3", "a/note.txt", ".hidden.wav", ".cache/x.wav", "a/deep/er.m4a", "._b.wav"):
        (tmp_path / "music" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "music" / name).touch()
    (tmp_path / "music/a/round").symlink_to(tmp_path / "music", target_is_directory=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/a.wav").touch()
    (tmp_path / "music/linked").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    found = [path.relative_to(tmp_path / "music").as_posix() for path in files.find(tmp_path / "music")]
    assert found == ["a/deep/er.m4a", "a/z.mp3", "b.WAV", "linked/a.wav"]
    assert files.find(tmp_path / "nowhere") == []


@pytest.mark.parametrize(
    ("form", "subtype"),
    [
        *(("WAV", subtype) for subtype in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")),
        *(("FLAC", "PCM_24"), ("CAF", "ALAC_16"), ("AIFF", "PCM_24"), ("W64", "PCM_16"), ("RF64", "PCM_32")),
    ],
)
def test_lossless_values_are_exact(tmp_path: Path, form: str, subtype: str):
    samples = np.random.default_rng(0).uniform(-1, 1, (30_000, 2))
    sf.write(tmp_path / "a", samples, 44_100, format=form, subtype=subtype)
    expected, _ = sf.read(tmp_path / "a", dtype="float32")
    got = [block for _, block in frames(tmp_path / "a")]
    assert all(block.dtype == np.float32 for block in got)  # int32 * float32 would be float64
    assert np.array_equal(np.concatenate(got)[: len(expected)], expected[: sum(map(len, got))])
    assert sum(map(len, got)) == len(expected) or form == "CAF"  # ALAC there lacks its last packet


@pytest.mark.parametrize(
    "name",
    [
        *("a.ogg", "a.opus", "a.mp3", "a.m4a", "a.mp4", "a.aac", "a.webm", "a.caf"),
        *("a.aifc", "a.au", "a.W64", "-odd: name.mka", "matroska.wav"),
    ],
)
def test_formats(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch):
    options = ["-f", "matroska"] if name == "matroska.wav" else []
    made(tmp_path, name, *options, seconds=1, rate=48_000, channels=2)
    monkeypatch.chdir(tmp_path)
    assert Path(name) in files.find(Path())
    delay = 341 if name == "a.aac" else 0  # ADTS has no field for the encoder's delay, 1024 samples at 48 kHz
    assert_close(whole(Path(name))[delay:], sine(1, 16_000), 0.05, slack=700)


@pytest.mark.parametrize("kilobits", [32, 48])
def test_an_mp3_of_a_low_bit_rate_is_the_same_in_blocks(tmp_path: Path, kilobits: int):
    """A decoder that seeks after each block loses the bits that a frame has in the one before."""
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 44_100 * 4)
    sf.write(tmp_path / "a.wav", noise * np.abs(sine(4, 44_100)), 44_100)
    path = encode(tmp_path / "a.wav", tmp_path / "a.mp3", "-b:a", f"{kilobits}k")
    encode(path, tmp_path / "b.wav", "-c:a", "pcm_f32le")
    expected, _ = sf.read(tmp_path / "b.wav", dtype="float32")
    got = np.concatenate([block for _, block in frames(path)])[:, 0]
    assert_close(got, expected, 1e-4, slack=1152)


def test_channels(tmp_path: Path):
    path = tmp_path / "a.wav"
    sf.write(path, np.tile([[0.5, -0.25]], (1000, 1)), 16_000, subtype="FLOAT")
    for channel, value in (("left", 0.5), ("right", -0.25), ("mix", 0.125)):
        assert np.all(whole(path, channel=channel) == value)
    sf.write(path, np.tile([[0.75, 0, 0, 0, 0, 0]], (1000, 1)), 16_000, subtype="FLOAT")
    assert np.allclose(whole(path), 0.125)
    sf.write(path, np.full(1000, 0.5), 16_000, subtype="FLOAT")
    for channel in ("left", "right", "mix"):
        assert np.all(whole(path, channel=channel) == 0.5)


@pytest.mark.parametrize("rates", [(48_000, 16_000), (8_000, 16_000), (44_100, 16_000), (16_000, 16_000)])
def test_block_boundaries_leave_no_trace(tmp_path: Path, rates: tuple[int, int]):
    samples = np.random.default_rng(0).uniform(-0.9, 0.9, 400_000).astype(np.float32)
    sf.write(tmp_path / "a.wav", samples, rates[0], subtype="FLOAT")
    assert_close(whole(tmp_path / "a.wav", rates[1]), soxr.resample(samples, *rates), 1e-5)


def test_a_part_of_a_file(tmp_path: Path):
    tone = sine(4, 16_000)
    sf.write(tmp_path / "a.flac", tone, 16_000, subtype="PCM_24")
    for start, seconds in ((0.0, 0.5), (1.25, 0.1), (3.9, 5.0), (0.0, None), (2.0, None)):
        first = round(start * 16_000)
        last = None if seconds is None else first + round(seconds * 16_000)
        assert_close(files.read(tmp_path / "a.flac", 16_000, start, seconds), tone[first:last], 1e-5, slack=0)
    with pytest.raises(DecodeError, match=r"a\.flac: it ends at 4\.00 s, before the start at 60 s"):
        files.read(tmp_path / "a.flac", 16_000, 60.0, 1.0)


@pytest.mark.parametrize("name", ["a.m4a", "a.webm", "a.mp4"])
def test_of_several_tracks_the_default_one(tmp_path: Path, name: str):
    other = ["-f", "lavfi", "-i", "sine=200:d=2", "-map", "1:a", "-map", "0:a"]
    default = ["-disposition:a:0", "0", "-disposition:a:1", "default"]
    made(tmp_path, name, *other, *default, rate=48_000)
    assert_close(whole(tmp_path / name), sine(2, 16_000), 0.03, slack=700)


@pytest.mark.parametrize(
    ("kind", "second"),
    [
        *((kind, second) for kind in ("mp3", "aac") for second in ({}, {"rate": 24_000}, {"channels": 2})),
        *((kind, {}) for kind in ("ogg", "opus")),
    ],
)
def test_joined_files_are_read_to_their_end(tmp_path: Path, kind: str, second: dict[str, int]):
    first = made(tmp_path, f"a.{kind}", rate=48_000)
    rest = made(tmp_path, f"b.{kind}", seconds=3, **{"rate": 48_000} | second)
    tag = b"TAG" + b"a" * 125 if kind in ("mp3", "aac") else b""
    got = files.read(written(tmp_path / f"ab.{kind}", first + tag + rest), 16_000)
    assert len(got) / 16_000 == pytest.approx(5.1, abs=0.15)
    assert 0.45 < np.abs(got[-32_000:-16_000]).max() < 0.72


def test_a_vbr_mp3_without_a_header_is_as_long_as_its_frames(tmp_path: Path):
    """The duration is estimated from the bit rate then; FFmpeg logs that for each file, not only for the first."""
    noise = np.random.default_rng(0).uniform(-1, 1, 176_400)
    sf.write(tmp_path / "a.wav", np.where(np.arange(len(noise)) < 44_100, 1e-3, 0.5) * noise, 44_100)
    path = encode(tmp_path / "a.wav", tmp_path / "a.mp3", "-q:a", "2", "-write_xing", "0")
    for _ in range(2):
        assert len(whole(path)) / 16_000 == pytest.approx(4.05, abs=0.06)


@pytest.mark.parametrize("length", [0, 20_000])
def test_a_flac_is_as_long_as_its_frames(tmp_path: Path, length: int):
    sf.write(tmp_path / "a.flac", sine(3, 44_100), 44_100)
    content = (tmp_path / "a.flac").read_bytes()
    fields = int.from_bytes(content[18:26], "big") >> 36 << 36 | length
    path = written(tmp_path / "a.flac", content[:18] + fields.to_bytes(8, "big") + content[26:])
    assert_close(whole(path), sine(3, 16_000), 1e-3)


def test_segments_of_a_flac_do_not_begin_at_sample_0(tmp_path: Path):
    sf.write(tmp_path / "a.wav", sine(3, 44_100), 44_100)
    encode(tmp_path / "a.wav", tmp_path / "%d.flac", "-f", "segment", "-segment_time", "1")
    got = np.concatenate([whole(tmp_path / f"{number}.flac") for number in range(3)])
    assert_close(got, sine(3, 16_000), 0.1, slack=3)  # each resampled by itself


TONE = sine(1, 16_000)
LIST = b"LIST" + struct.pack("<I", 26) + b"INFOISFT" + struct.pack("<I", 14) + b"a program 1.0\0"
ID3 = b"id3 " + struct.pack("<I", 4000) + b"ID3" + b"\x55" * 3997


@pytest.mark.parametrize(
    ("name", "options", "reason"),
    [
        ("a.mp3", (), r"it ends at [12]\.\d\d s of (3\.9|4\.0)\d s, cut off"),
        ("a.flac", (), r"it ends at [12]\.\d\d s of 4\.00 s, cut off or damaged"),
        ("a.m4a", ("-movflags", "faststart"), r"it ends at [12]\.\d\d s"),
        ("a.wav", (), r"it ends at 2\.00 s of 4\.00 s"),
        ("a.aiff", (), r"it ends at 2\.00 s of 4\.00 s"),
        ("a.webm", (), r"it ends at [123]\.\d\d s"),
    ],
)
def test_what_is_cut_off_is_used_with_a_warning(
    tmp_path: Path, name: str, options: tuple[str, ...], reason: str, caplog: pytest.LogCaptureFixture
):
    content = made(tmp_path, name, *options, seconds=4)
    path = written(tmp_path / name, content[: len(content) // 2 + 17])
    with pytest.raises(TruncatedAudioError, match=rf"{name} is damaged: {reason}"):
        whole(path)
    assert_close(files.read(path, 16_000)[:12_000], sine(4, 16_000)[:12_000], 0.05)
    assert "used as far as it decodes" in caplog.text


@pytest.mark.parametrize("name", ["a.mp3", "a.flac"])
def test_packets_that_do_not_decode_are_counted(tmp_path: Path, name: str):
    content = bytearray(made(tmp_path, name, seconds=20))
    middle = len(content) // 2
    content[middle : middle + 500] = bytes(500)
    with pytest.raises(TruncatedAudioError):
        whole(written(tmp_path / name, bytes(content)))


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0xFFFFFFDB, 0x7FFFF000, 0x80000000, 8_000, 32_000], ids=hex)
@pytest.mark.parametrize("tail", [b"", bytes(300), LIST, LIST + ID3], ids=["alone", "zeros", "list", "tag"])
def test_a_wav_is_as_long_as_its_samples(tmp_path: Path, size: int, tail: bytes):
    """Of a size that has wrapped, is unknown, not filled in or right. A chunk behind unknown sizes may sound."""
    sf.write(tmp_path / "a.wav", TONE, 16_000)
    content = (tmp_path / "a.wav").read_bytes()
    at = content.index(b"data") + 4
    path = written(tmp_path / "a.wav", content[:at] + struct.pack("<I", size) + content[at + 4 :] + tail)
    assert_close(whole(path)[:16_000], TONE, 1e-3, slack=0)
    assert len(whole(path)) - 16_000 <= len(tail) * (size != 32_000)


MOOV_CUT = b"\0\0\0\x20ftypM4A \0\0\0\0M4A mp42isom\0\0\0\0" + bytes(5000)
PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nother.wav\n#EXT-X-ENDLIST\n"


def _samples(samples: np.ndarray, **options: Any) -> Callable[[Path], None]:
    return lambda path: sf.write(path, samples, 16_000, format="WAV", **options)


def _film_without_sound(path: Path) -> None:
    made(path.parent, path.name, "-f", "lavfi", "-i", "color=c=black:s=16x16:d=0.2", "-map", "1:v")


@pytest.mark.parametrize(
    ("content", "name", "reason"),
    [
        (np.random.default_rng(0).bytes(100_000), "a.mp3", "cannot|not audio"),
        (b"fLaC" + bytes(60), "a.flac", "audio"),
        (b"RIFF\0\0\0\0WAVEdata" + b"\xff" * 60, "a.wav", "audio"),
        (b"", "a.wav", "not audio"),
        (_samples(np.append(np.zeros(80_000), np.nan), subtype="FLOAT"), "a.wav", "NaN or infinite samples"),
        (_samples(np.append(np.zeros(80_000), -np.inf), subtype="FLOAT"), "a.wav", "NaN or infinite"),
        (_samples(np.empty(0)), "a.wav", "no audio"),
        (_samples(TONE, subtype="G721_32"), "a.wav", "G.721"),
        (_samples(TONE, subtype="NMS_ADPCM_16"), "a.wav", "NMS"),
        (_samples(TONE, endian="BIG"), "a.wav", "big-endian"),
        (PLAYLIST, "a.m4a", "not audio"),
        (MOOV_CUT, "a.m4a", "not audio"),
        (_film_without_sound, "a.mp4", "has no audio in"),
    ],
    ids=range(13),
)
def test_what_cannot_be_decoded_is_one_line(tmp_path: Path, content, name: str, reason: str):
    sf.write(tmp_path / "other.wav", TONE, 16_000)
    path = tmp_path / name
    path.write_bytes(content) if isinstance(content, bytes) else content(path)
    with pytest.raises(DecodeError, match=reason) as caught:
        whole(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "nothing"])
def test_only_regular_files_are_opened(tmp_path: Path, kind: str):
    path = tmp_path / "a.wav"
    make = {
        "pipe": lambda: os.mkfifo(path),
        "device": lambda: path.symlink_to("/dev/zero"),
        "folder": path.mkdir,
        "nothing": lambda: path.symlink_to("gone"),
    }
    make[kind]()
    with pytest.raises(UnavailableError):
        decode.open_regular(path)
    with pytest.raises(UserError, match=r"cannot read .*a\.wav: "):  # as with --prompt
        files.read(path, 16_000)


def test_a_disk_that_fails_is_not_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    class Failing(FileIO):
        read = readinto = Mock(side_effect=OSError(errno.EIO, os.strerror(errno.EIO)))

    sf.write(tmp_path / "a.wav", TONE, 16_000)
    monkeypatch.setattr(decode, "open_regular", Failing)
    with pytest.raises(UnavailableError, match="Input/output error"):
        whole(tmp_path / "a.wav")


@pytest.mark.parametrize("kind", [DecodeError, TruncatedAudioError, UnavailableError])
def test_errors_cross_processes(kind: type[decode.AudioFileError]):
    error = pickle.loads(pickle.dumps(kind(Path("a.wav"), "why")))  # noqa: S301
    assert type(error) is kind and (error.path, error.reason) == (Path("a.wav"), "why")


def test_an_interrupt_ends_a_decode(tmp_path: Path):
    sf.write(tmp_path / "a.wav", np.zeros((2_000_000, 2)), 48_000)
    code = (
        "import pathlib, sys; from sequnet_pl.audio.decode import frames\n"
        "for number in range(10**6):\n"
        "    for _ in frames(pathlib.Path(sys.argv[1])): pass\n"
        "    print(number, flush=True)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "a.wav")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
    assert process.returncode in (-signal.SIGINT, 130) and error.rstrip().endswith("KeyboardInterrupt")
