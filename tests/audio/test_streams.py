"""Mp3, ogg, opus and FLAC files without a length, with a wrong one, cut off or joined; and films."""

import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from sounds import FFMPEG, assert_close, encode, needs_ffmpeg, sine, whole

from sequnet_pl.audio import decode, files, sound
from sequnet_pl.audio.decode import Damaged, Decoder

TAG = b"TAG" + b"a" * 125
APE = b"APETAGEX" + struct.pack("<IIII", 2000, 82, 1, 0xA0000000) + bytes(8) + bytes(50)
APE += b"APETAGEX" + struct.pack("<IIII", 2000, 82, 1, 0x80000000) + bytes(8)
ID3 = b"ID3\x03\0\0" + bytes([0, 0, 0x7D, 0]) + b"\xff\xfb" * 8000


def loud(seconds: float, rate: int) -> np.ndarray:
    """Quiet, then loud: a first frame that tells little of the others."""
    time = np.arange(round(seconds * rate)) / rate
    return np.where(time < seconds / 4, 1e-3, 0.5) * np.random.default_rng(0).uniform(-1, 1, len(time))


def made(folder: Path, name: str, *options: str, seconds: float = 2, rate: int = 44_100, channels: int = 1) -> bytes:
    sf.write(folder / "source.wav", np.stack([sine(seconds, rate)] * channels, axis=1), rate)
    return encode(folder / "source.wav", folder / name, *options).read_bytes()


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def seconds_of(path: Path) -> float:
    return len(whole(path)) / 16_000


@needs_ffmpeg
@pytest.mark.parametrize(
    ("head", "tail"), [(b"", b""), (b"", TAG), (ID3, APE + TAG), (b"junk and words " * 200, bytes(5000))]
)
def test_a_vbr_mp3_without_a_header_is_as_long_as_its_frames(tmp_path: Path, head: bytes, tail: bytes):
    sf.write(tmp_path / "a.wav", loud(4, 44_100), 44_100)
    content = encode(tmp_path / "a.wav", tmp_path / "a.mp3", "-q:a", "2", "-write_xing", "0").read_bytes()
    assert seconds_of(written(tmp_path / "a.mp3", head + content + tail)) == pytest.approx(4.05, abs=0.06)
    assert len(files.read(tmp_path / "a.mp3", 16_000, 3.0, 0.5)) == 8_000


@needs_ffmpeg
@pytest.mark.parametrize(
    ("second", "between"),
    [({}, b""), ({}, TAG), ({}, bytes(3000)), ({"rate": 22_050}, ID3), ({"channels": 2}, b""), ({"rate": 48_000}, TAG)],
)
def test_joined_mp3s_are_read_whole(tmp_path: Path, second: dict[str, int], between: bytes):
    first, rest = made(tmp_path, "a.mp3"), made(tmp_path, "b.mp3", seconds=3, **second)
    got = whole(written(tmp_path / "ab.mp3", first + between + rest))
    assert len(got) / 16_000 == pytest.approx(5.05, abs=0.15)
    assert_close(got[:31_000], sine(2, 16_000)[:31_000], 0.05)
    assert 0.45 < np.abs(got[-32_000:-16_000]).max() < 0.72  # the second too, in whatever way its channels are mixed


@needs_ffmpeg
def test_an_mp3_whose_header_tells_too_few_frames(tmp_path: Path):
    content = made(tmp_path, "a.mp3", seconds=4)
    at = content.index(b"Info") + 8
    path = written(tmp_path / "a.mp3", content[:at] + struct.pack(">I", 30) + content[at + 4 :])
    assert_close(whole(path)[510:], sine(4, 16_000), 0.05, slack=700)  # the header alone tells of the encoder's delay


@needs_ffmpeg
@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("a.mp3", (), r"it ends at 1\.[89]\d s of (3\.9|4\.0)\d s, cut off"),
        ("a.mp3", ("-write_xing", "0"), r"it ends at [12]\.[089]\d s, cut off"),
        ("a.ogg", (), r"it ends at [012]\.\d\d s, cut off"),
        ("a.opus", (), r"it ends at [12]\.\d\d s, cut off"),
        ("a.flac", (), r"it ends at [12]\.\d\d s of 4\.00 s, cut off or damaged"),
        ("a.m4a", ("-movflags", "faststart"), r"it ends at [12]\.\d\d s, cut off or damaged"),
    ],
)
def test_what_is_cut_off_says_so(tmp_path: Path, name: str, options: tuple[str, ...], said: str):
    content = made(tmp_path, name, *options, seconds=4)
    path = written(tmp_path / name, content[: len(content) // 2 + 17])
    with pytest.raises(Damaged, match=said):
        whole(path)
    got = files.read(path, 16_000)
    assert_close(got[:12_000], sine(4, 16_000)[:12_000], 0.05)


@needs_ffmpeg
@pytest.mark.parametrize("name", ["a.ogg", "a.opus", "a.oga"])
@pytest.mark.parametrize("second", [{}, {"rate": 48_000, "channels": 2}], ids=str)
def test_chains_are_read_whole(tmp_path: Path, name: str, second: dict[str, int]):
    options = ("-c:a", "flac") if name == "a.oga" else ()
    first = made(tmp_path, name, *options, rate=22_050)
    rest = made(tmp_path, f"b{name}", *options, seconds=3, **{"rate": 22_050, **second})
    path = written(tmp_path / name, first + rest + TAG)
    assert_close(whole(path), np.concatenate([sine(2, 16_000), sine(3, 16_000)]), 0.03, slack=200)
    part = files.read(path, 16_000, 3.0, 0.5)
    assert_close(part[100:], sine(3, 16_000)[16_100:24_000], 0.03, slack=200)


@needs_ffmpeg
@pytest.mark.parametrize("second", [{}, {"rate": 22_050}, {"channels": 2}, {"seconds": 1}], ids=str)
def test_joined_flac_files_are_read_whole(tmp_path: Path, second: dict[str, int]):
    first, rest = made(tmp_path, "a.flac"), made(tmp_path, "b.flac", **second)
    expected = np.concatenate([sine(2, 16_000), sine(second.get("seconds", 2), 16_000)])
    assert_close(whole(written(tmp_path / "ab.flac", first + rest)), expected, 1e-3, slack=2)


@needs_ffmpeg
@pytest.mark.parametrize("told", [0, 2**36 - 1, 20_000, 44_100 * 9])
@pytest.mark.parametrize("seconds", [0.5, 3])
def test_a_flac_is_as_long_as_its_frames(tmp_path: Path, told: int, seconds: float):
    sf.write(tmp_path / "a.flac", sine(seconds, 44_100), 44_100)
    content = (tmp_path / "a.flac").read_bytes()
    fields = int.from_bytes(content[18:26], "big") >> 36 << 36 | told
    path = written(tmp_path / "a.flac", content[:18] + fields.to_bytes(8, "big") + content[26:])
    assert_close(whole(path), sine(seconds, 16_000), 1e-3)


@needs_ffmpeg
def test_segments_of_a_flac(tmp_path: Path):
    sf.write(tmp_path / "a.wav", sine(3, 44_100), 44_100)
    encode(tmp_path / "a.wav", tmp_path / "%d.flac", "-f", "segment", "-segment_time", "1")
    got = np.concatenate([whole(tmp_path / f"{number}.flac") for number in range(3)])
    assert_close(got, sine(3, 16_000), 0.1, slack=3)  # each resampled by itself


@needs_ffmpeg
def test_joined_aac_and_a_stream_of_no_length(tmp_path: Path):
    first, second = made(tmp_path, "a.aac"), made(tmp_path, "b.aac", rate=22_050, channels=2)
    assert seconds_of(written(tmp_path / "ab.aac", first + second)) == pytest.approx(4.1, abs=0.1)
    live = subprocess.run(
        [FFMPEG, "-v", "error", "-i", str(tmp_path / "source.wav"), "-f", "webm", "-"], check=True, capture_output=True
    ).stdout
    assert_close(whole(written(tmp_path / "a.webm", live)), sine(2, 16_000), 0.03)


@needs_ffmpeg
@pytest.mark.parametrize("name", ["a.m4a", "a.webm", "a.mp4"])
def test_of_several_tracks_the_default_one(tmp_path: Path, name: str):
    sf.write(tmp_path / "a.wav", sine(2, 48_000), 48_000)
    command = [FFMPEG, "-v", "error", "-f", "lavfi", "-i", "sine=200:d=2", "-i", str(tmp_path / "a.wav")]
    command += ["-map", "0:a", "-map", "1:a", "-disposition:a:0", "0", "-disposition:a:1", "default"]
    subprocess.run([*command, str(tmp_path / name)], check=True)
    assert_close(whole(tmp_path / name), sine(2, 16_000), 0.03)
    assert decode.is_read_anew(tmp_path / name)


@needs_ffmpeg
def test_where_one_decoder_stops_another_begins_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """All of the samples are of one decoder; the second is asked for a part too."""
    monkeypatch.setattr(sound, "BLOCK", 4096)
    content = bytearray(made(tmp_path, "a.flac", seconds=4))
    middle = len(content) // 2
    content[middle : middle + 50] = bytes(50)
    path = written(tmp_path / "a.flac", bytes(content))
    with pytest.raises(decode.Unfinished):
        list(decode.frames(path))
    asked: list[int] = []

    def use(blocks) -> int:
        asked.append(0)
        for block in blocks:
            asked[-1] += len(block)
        return asked[-1]

    with pytest.raises(Damaged, match=r"it ends at 3\.\d\d s"):
        files.consume(path, 16_000, use)
    assert len(asked) == 2 and asked[0] < asked[1] < 64_000
    assert len(files.read(path, 16_000, 1.0)) == pytest.approx(asked[1] - 16_000, abs=2)


@needs_ffmpeg
def test_where_another_comes_less_far_the_first_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    content = made(tmp_path, "a.flac", seconds=4)
    path = written(tmp_path / "a.flac", content[: len(content) // 2])
    monkeypatch.setattr(sound, "BLOCK", 1024)
    monkeypatch.setattr(decode.by_ffmpeg, "blocks", lambda *_: iter([(44_100, np.zeros((10, 1), np.float32))]))
    monkeypatch.setattr(decode, "outline", lambda *_: decode.Outline())
    with pytest.raises(decode.Unfinished) as first:
        list(decode.frames(path))
    with pytest.raises(decode.Unfinished):
        list(decode.frames(path, decoder=Decoder.FFMPEG, least=first.value.seconds))
    assert len(files.read(path, 44_100)) == round(first.value.seconds * 44_100)


def test_good_files_are_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(decode.by_ffmpeg, "blocks", None)
    for form, name in (("WAV", "a.wav"), ("FLAC", "a.flac"), ("MP3", "a.mp3"), ("OGG", "a.ogg"), ("AIFF", "a.aiff")):
        sf.write(tmp_path / name, sine(3, 44_100), 44_100, format=form)
        calls: list[int] = []
        files.consume(tmp_path / name, 16_000, lambda blocks, calls=calls: calls.append(sum(map(len, blocks))))
        assert len(calls) == 1 and calls[0] == pytest.approx(48_000, abs=10)
        assert not decode.is_read_anew(tmp_path / name)
