"""What is cut off or damaged is read as far as it goes; what cannot be read is one line."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from sounds import FFMPEG, assert_close, encode, needs_ffmpeg, sine, whole

from sequnet_pl.audio import files, sound
from sequnet_pl.audio.decode import Damaged, Undecodable
from sequnet_pl.errors import UserError


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
