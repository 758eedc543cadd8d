"""Wav, AIFF, AU, CAF and W64 files whose headers lie about their length, or that are cut off or joined."""

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from headers import ID3, LIST, TONE, aiff, put, wav, written
from sounds import assert_close, encode, needs_ffmpeg, sine, whole

from sequnet_pl.audio import chunks, files, forms
from sequnet_pl.audio.decode import Damaged, Undecodable
from sequnet_pl.audio.link import View

UNKNOWN = [0, 0xFFFFFFFF, 0xFFFFFFDB, 0x7FFFF000, 0x80000000]


@pytest.mark.parametrize("tail", [b"", LIST, LIST + ID3], ids=["alone", "list", "list_id3"])
@pytest.mark.parametrize("size", [*UNKNOWN, 8_000, 32_036], ids=hex)
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
def test_a_wav_is_as_long_as_its_samples(tmp_path: Path, subtype: str, size: int, tail: bytes):
    content, at = wav(tmp_path / "a.wav", subtype)
    path = written(tmp_path / "a.wav", put(content, at, "<I", size) + tail)
    assert_close(whole(path), TONE, 1e-3, slack=0)
    assert_close(files.read(path, 16_000, 0.5, 0.25), TONE[8_000:12_000], 1e-3, slack=0)


def test_samples_in_two_chunks_and_after_an_empty_one(tmp_path: Path):
    content, at = wav(tmp_path / "a.wav")
    empty = content[: at - 4] + b"data" + bytes(4) + content[at - 4 :]
    assert_close(whole(written(tmp_path / "empty.wav", empty)), TONE, 1e-3, slack=0)
    first, rest = content[at + 4 : at + 10_004], content[at + 10_004 :]
    two = content[:at] + struct.pack("<I", 10_000) + first + LIST + b"data" + struct.pack("<I", 22_000) + rest
    assert_close(whole(written(tmp_path / "two.wav", two)), TONE, 1e-3, slack=0)
    with pytest.raises(Undecodable, match="no audio"):
        whole(written(tmp_path / "none.wav", content[:at] + bytes(4) + LIST))


@pytest.mark.parametrize("rate", [16_000, 22_050])
def test_joined_wavs_are_read_one_after_the_other(tmp_path: Path, rate: int):
    content, _ = wav(tmp_path / "a.wav")
    second, _ = wav(tmp_path / "b.wav", rate=rate)
    path = written(tmp_path / "ab.wav", content + LIST + second)
    assert_close(whole(path), np.concatenate([TONE, TONE]), 1e-3)
    assert_close(files.read(path, 16_000, 1.25, 0.25)[50:], TONE[4_050:8_000], 0.05)


@pytest.mark.parametrize(
    ("name", "form", "subtype"),
    [
        ("a.wav", "WAV", "PCM_16"),
        ("a.wav", "WAVEX", "PCM_24"),
        ("a.wav", "WAV", "MS_ADPCM"),
        ("a.wav", "RF64", "PCM_16"),
        ("a.w64", "W64", "PCM_16"),
        ("a.aiff", "AIFF", "PCM_16"),
        ("a.au", "AU", "PCM_16"),
        ("a.caf", "CAF", "PCM_16"),
        ("a.wav", "WAV", "NMS_ADPCM_16"),
    ],
)
def test_what_is_cut_off_says_so_with_seconds(tmp_path: Path, name: str, form: str, subtype: str):
    rate = 8_000 if "NMS" in subtype else 44_100
    sf.write(tmp_path / name, sine(2, rate), rate, format=form, subtype=subtype)
    content = (tmp_path / name).read_bytes()
    path = written(tmp_path / name, content[: len(content) // 2])
    with pytest.raises(Damaged, match=r"it ends at (0\.9|1\.0)\d s of (1\.[89]|2\.0)\d s, cut off"):
        whole(path)
    got = files.read(path, 16_000)
    assert_close(got[:14_000], sine(2, 16_000)[:14_000], 0.15)


def _rf64(length: int) -> Callable[[bytes], bytes]:
    return lambda content: put(content, content.index(b"ds64") + 16, "<Q", length)


def _true_32_bits(length: int, magic: bytes = b"RF64") -> Callable[[bytes], bytes]:
    """A `ds64` that is not true, beside a size of the samples that is."""

    def lie(content: bytes) -> bytes:
        at = content.index(b"ds64") + 8
        content = magic + content[4:at] + struct.pack("<QQQ", 0, length, 0) + content[at + 24 :]
        return put(content, content.index(b"data") + 4, "<I", 32_000)

    return lie


def _w64(length: int) -> Callable[[bytes], bytes]:
    return lambda content: put(content, content.index(b"data\xf3\xac") + 16, "<Q", length)


def _au(length: int) -> Callable[[bytes], bytes]:
    return lambda content: put(content, 8, ">I", length)


def _caf(length: int) -> Callable[[bytes], bytes]:
    return lambda content: put(content, content.index(b"data") + 4, ">q", length)


@pytest.mark.parametrize(
    ("form", "lie"),
    [
        *(("RF64", _rf64(length)) for length in (0, 8_000, 2**63 - 1, 2**64 - 1)),
        *(("RF64", _true_32_bits(length)) for length in (0, 8_000, 32_000, 40_000, 2**64 - 1)),
        ("RF64", _true_32_bits(0, b"BW64")),
        *(("W64", _w64(length)) for length in (0, 24, 8_024, 2**63 - 1)),
        *(("AIFF", aiff(length)) for length in (0, 8_008, 0x7FFFFFFF, 0xFFFFFFFF)),
        *(("AIFF", aiff(length, b"ANNO\0\0\0\xc8" + b"n" * 200)) for length in (0, 8_008, 32_008)),
        *(("AU", _au(length)) for length in (0, 8_000, 0x7FFFFFFF, 0xFFFFFFFF)),
        *(("CAF", _caf(length)) for length in (-1, 0, 8_004, 2**63 - 1)),
    ],
)
def test_other_containers_that_lie(tmp_path: Path, form: str, lie: Callable[[bytes], bytes]):
    sf.write(tmp_path / "a", TONE, 16_000, format=form, subtype="PCM_16")
    path = written(tmp_path / "a", lie((tmp_path / "a").read_bytes()))
    assert_close(whole(path), TONE, 1e-3, slack=0)


def test_a_joined_file_may_begin_anywhere(tmp_path: Path):
    content, at = wav(tmp_path / "a.wav")
    odd = put(content, at, "<I", 31_999)[:-1]
    second = content[:12] + b"JUNK" + struct.pack("<I", 7) + b"seven b\0" + content[12:]
    assert_close(whole(written(tmp_path / "ab.wav", odd + second)), np.concatenate([TONE[:-1], TONE]), 1e-3, slack=0)


@pytest.mark.parametrize("size", [32_000, 0, 9_000])
@pytest.mark.parametrize("odd", [b"", b"JUNK\0\0\0\5five!"], ids=["alone", "odd"])
def test_big_endian_wav(tmp_path: Path, size: int, odd: bytes):
    samples = np.round(TONE * 32_767).astype(">i2").tobytes()
    head = (
        b"WAVEfmt " + struct.pack(">IHHIIHH", 16, 1, 1, 16_000, 32_000, 2, 16) + odd + b"data" + struct.pack(">I", size)
    )
    path = written(tmp_path / "a.wav", b"RIFX" + struct.pack(">I", 32_036) + head + samples)
    assert_close(whole(path), TONE, 1e-3, slack=0)


def test_more_than_32_bits_can_say(tmp_path: Path):
    """The size has wrapped; the file is sparse, and not decoded here."""
    content, at = wav(tmp_path / "a.wav")
    length = 2**32 + 1_000_000
    path = written(tmp_path / "a.wav", put(content, at, "<I", length % 2**32)[: at + 4] + b"\1")
    with path.open("r+b") as file:
        file.truncate(at + 4 + length)
        found = chunks.outline(file, at + 4 + length)
        assert found is not None
        (link,) = found.links
        with sf.SoundFile(View(file, link)) as opened:
            assert opened.frames == length // 2


@pytest.mark.parametrize("subtype", ["GSM610", "G721_32", "NMS_ADPCM_16", "NMS_ADPCM_32"])
@pytest.mark.parametrize("size", [None, 0])
def test_codecs_that_cannot_seek(tmp_path: Path, subtype: str, size: int | None):
    content, at = wav(tmp_path / "a.wav", subtype, 8_000)
    path = written(tmp_path / "a.wav", content if size is None else put(content, at, "<I", size))
    assert_close(whole(path), TONE, 0.1, slack=700)
    assert np.abs(files.read(path, 16_000, 0.5, 0.25)[100:] - whole(path)[8_100:12_000]).max() < 1e-2


@needs_ffmpeg
@pytest.mark.parametrize("size", [None, 0, 10_000, 0xFFFFFFFF])
def test_codecs_of_ffmpeg_in_a_wav_that_lies(tmp_path: Path, size: int | None):
    wav(tmp_path / "a.wav", rate=48_000)
    path = tmp_path / "b.wav"
    encode(tmp_path / "a.wav", path, "-c:a", "ac3")
    content = path.read_bytes()
    path.write_bytes(content if size is None else put(content, content.index(b"data") + 4, "<I", size) + LIST)
    assert 15_500 < len(whole(path)) <= 17_000


@pytest.mark.parametrize(
    "content",
    [
        b".snd\0\0\0\x18",
        forms._W64_RIFF + bytes(24) + b"fmt " + forms._W64_TAIL + bytes(80),
        forms._W64_RIFF + bytes(24) + b"junk" + forms._W64_TAIL + b"\xff" * 80,
        b"caff\0\1\0\0desc" + b"\xff" * 60,
        b"RIFF\0\0\0\0WAVEdata" + b"\xff" * 60,
        b"fLaC" + bytes(60),
        b"OggS" + b"\xff" * 60,
        b"ID3\4\0\0\x7f\x7f\x7f\x7f" + b"\xff\xfb\x90\x64" * 20,
    ],
    ids=range(8),
)
def test_broken_heads_end_in_one_line(tmp_path: Path, content: bytes):
    for name in ("a.wav", "a.mp3"):
        with pytest.raises(Undecodable, match=name):
            whole(written(tmp_path / name, content))
