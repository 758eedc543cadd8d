"""Codes survive a wav file, and a wav file grows in one piece."""

import errno
import os
import wave
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest

from sequnet_pl import atomic
from sequnet_pl.audio import mulaw
from sequnet_pl.audio.files import growing_wav, read_codes, to_pcm, wav_header, write_wav
from sequnet_pl.errors import UserError

CODES = np.arange(256, dtype=np.uint8)


def test_every_code_comes_back(tmp_path: Path) -> None:
    with growing_wav(tmp_path / "a.wav", 16_000) as wav:
        for part in (CODES[:100], CODES[100:]):
            wav.write(part)
        assert wav.samples == 256
        assert not (tmp_path / "a.wav").exists()
    assert np.array_equal(read_codes(tmp_path / "a.wav"), CODES)
    write_wav(tmp_path / "b.wav", mulaw.decode(CODES), 16_000)
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()


def test_nothing_is_left_after_an_exception(tmp_path: Path) -> None:
    with pytest.raises(KeyError), growing_wav(tmp_path / "a.wav", 16_000) as wav:
        wav.write(CODES)
        raise KeyError
    assert not list(tmp_path.iterdir())


def test_a_header_for_a_pipe(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(wav_header(8000) + to_pcm(CODES))
    with wave.open(str(tmp_path / "a.wav")) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (8000, 1, 2)
        assert file.readframes(1000) == to_pcm(CODES)


def test_no_wav_file(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_text("no sound")
    with pytest.raises(UserError, match=r"cannot read .*a\.wav"):
        read_codes(tmp_path / "a.wav")


def test_a_clip_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="folder"):
        write_wav(tmp_path / "file/clip.wav", np.zeros(10), 16_000)
    write_wav(tmp_path / "clip.wav", np.array([0.5, 1.5]), 16_000)  # clipped to full scale
    before = (tmp_path / "clip.wav").read_bytes()
    monkeypatch.setattr(atomic, "_publish", Mock(side_effect=OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))))
    with pytest.raises(UserError, match="space"):
        write_wav(tmp_path / "clip.wav", np.ones(10), 16_000)
    assert (tmp_path / "clip.wav").read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["clip.wav", "file"]
