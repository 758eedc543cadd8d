"""What is cut off or damaged is read as far as it goes; what cannot be read is one line; nothing blocks."""

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

import numpy as np
import pytest
import soundfile as sf
from sounds import assert_close, made, sine, whole, written

from sequnet_pl.audio import decode, files
from sequnet_pl.audio.decode import DecodeError, TruncatedAudioError, UnavailableError, open_regular
from sequnet_pl.errors import UserError

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


def _with_value(value: float) -> Callable[[Path], None]:
    return _samples(np.where(np.arange(90_000) == 80_000, value, 0.1), subtype="FLOAT")


def _film_without_sound(path: Path) -> None:
    made(path.parent, path.name, "-f", "lavfi", "-i", "color=c=black:s=16x16:d=0.2", "-map", "1:v")


@pytest.mark.parametrize(
    ("content", "name", "reason"),
    [
        (np.random.default_rng(0).bytes(100_000), "a.mp3", "cannot|not audio"),
        (b"fLaC" + bytes(60), "a.flac", "audio"),
        (b"RIFF\0\0\0\0WAVEdata" + b"\xff" * 60, "a.wav", "audio"),
        (b"", "a.wav", "not audio"),
        (_with_value(np.nan), "a.wav", "NaN or infinite samples"),
        (_with_value(-np.inf), "a.wav", "NaN or infinite"),
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
        open_regular(path)
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
