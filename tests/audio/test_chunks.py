"""Chunks before and after the samples, odd, cut off or of any name, are no sound and hide none."""

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from headers import ID3, LIST, TONE, aiff, put, wav, written
from sounds import assert_close, sine, whole

from sequnet_pl.audio import files, forms


@pytest.mark.parametrize("tail", [LIST, LIST + ID3, (LIST + ID3)[:-1000], b"TAG" + b"a" * 125, bytes(300)], ids=len)
def test_what_follows_the_samples_is_no_sound(tmp_path: Path, tail: bytes):
    content, _ = wav(tmp_path / "a.wav")
    assert_close(whole(written(tmp_path / "a.wav", content + tail)), TONE, 1e-3, slack=0)


@pytest.mark.parametrize("left", [3, 8, 9, 9_000, 20_008, None])
@pytest.mark.parametrize(
    ("form", "name", "size", "container"),
    [
        ("WAV", b"SMED", "<I", (4, 8)),
        ("RF64", b"SMED", "<I", (20, 8)),
        ("W64", b"smed" + forms._W64_TAIL, "<Q", (16, 0)),
        ("AIFF", b"SMED", ">I", (4, 8)),
        ("CAF", b"smed", ">Q", None),
    ],
)
def test_a_chunk_of_any_name_may_be_cut_off(
    tmp_path: Path, form: str, name: bytes, size: str, container: tuple[int, int] | None, left: int | None
):
    """It is no sound, as the size of all or one of 64 bits says."""
    sf.write(tmp_path / "a", TONE, 16_000, format=form, subtype="PCM_16")
    content, head = (tmp_path / "a").read_bytes(), len(name) + struct.calcsize(size)
    chunk = name + struct.pack(size, 20_000 + head * (form == "W64")) + b"\x7fabc" * 5_000
    if container:
        at, before = container
        wide = "<Q" if form in ("RF64", "W64") else size
        content = put(content, at, wide, len(content) + len(chunk) - before)
    path = written(tmp_path / "a", content + chunk[:left])
    is_less_than_a_head = form in ("CAF", "W64") and (left or head) < head  # which nothing may tell from sound
    assert_close(whole(path), TONE, 1e-3, slack=4 * is_less_than_a_head)


def test_a_chunk_after_the_samples_of_a_w64_is_no_sound(tmp_path: Path):
    sf.write(tmp_path / "a.w64", TONE, 16_000, subtype="PCM_16")
    chunk = b"levl" + forms._W64_TAIL + struct.pack("<Q", 24 + 4_000) + b"levels\1\0" * 500
    path = written(tmp_path / "a.w64", (tmp_path / "a.w64").read_bytes() + chunk)
    assert_close(whole(path), TONE, 1e-3, slack=0)


def test_samples_that_look_like_a_chunk_are_sound(tmp_path: Path):
    """The size of all is true, so a chunk that would end beyond it is none."""
    content, at = wav(tmp_path / "a.wav")
    begin = at + 4 + 8_000
    content = put(content, at, "<I", 8_000)[:begin] + b"SMED" + struct.pack("<I", 24_100) + content[begin + 8 :]
    assert len(whole(written(tmp_path / "a.wav", content))) == 16_000


@pytest.mark.parametrize("size", [None, 0], ids=["true", "zero"])
@pytest.mark.parametrize("pad", [b"", b"\0"], ids=["bare", "padded"])
@pytest.mark.parametrize("tail", [b"", LIST], ids=["alone", "list"])
def test_an_odd_number_of_bytes(tmp_path: Path, size: int | None, pad: bytes, tail: bytes):
    samples = np.round(sine(1, 16_000)[:-1] * 100 + 128).astype(np.uint8).tobytes()
    head = b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 16_000, 16_000, 1, 8)
    body = head + b"data" + struct.pack("<I", len(samples) if size is None else size) + samples + pad + tail
    path = written(tmp_path / "a.wav", b"RIFF" + struct.pack("<I", len(body)) + body)
    assert_close(whole(path)[:15_999], np.frombuffer(samples, np.uint8) / 128.0 - 1, 1e-2)
    assert len(whole(path)) in (15_999, 16_000)


@pytest.mark.parametrize("pad", [b"", b"\0"], ids=["bare", "filled"])
@pytest.mark.parametrize(
    ("form", "size", "names", "lie"),
    [
        ("WAV", "<I", ["fmt ", "data"], lambda content: content),
        ("WAV", "<I", ["data"], lambda content: put(content, content.index(b"data") + 4, "<I", 0)),
        ("RF64", "<I", ["fmt "], lambda content: content),
        ("RF64", "<I", ["data"], lambda content: content),
        ("W64", "<Q", ["fmt \xf3", "data\xf3"], lambda content: content),
        ("AIFF", ">I", ["COMM", "SSND"], lambda content: content),
        ("AIFF", ">I", ["SSND"], aiff(0)),
        ("CAF", ">Q", ["data"], lambda content: content),
    ],
)
def test_odd_chunks_before_the_samples(
    tmp_path: Path, form: str, size: str, names: list[str], lie: Callable[[bytes], bytes], pad: bytes
):
    """Filled up to where the next may begin, or not, as some writers leave them."""
    sf.write(tmp_path / "a", TONE, 16_000, format=form, subtype="PCM_16")
    content, odd = lie((tmp_path / "a").read_bytes()), b"an odd number"
    if form == "W64":
        chunk = b"junk" + forms._W64_TAIL + struct.pack(size, 24 + len(odd)) + odd + pad * 3
    else:
        chunk = (b"free" if form == "CAF" else b"JUNK") + struct.pack(size, len(odd)) + odd + pad * (form != "CAF")
    for name in names:
        content = content.replace(name.encode("latin1"), chunk + name.encode("latin1"), 1)
    path = written(tmp_path / "a", content)
    assert_close(whole(path), TONE, 1e-3, slack=0)
    assert_close(files.read(path, 16_000, 0.5, 0.25), TONE[8_000:12_000], 1e-3, slack=0)
