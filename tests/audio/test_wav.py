"""Mu-law codes of samples, and wav files of codes."""

import errno
import os
import wave
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sequnet_pl.audio import mulaw
from sequnet_pl.audio.files import growing_wav, read_codes, to_pcm, wav_header, write_wav
from sequnet_pl.errors import UserError

CODES = np.arange(256, dtype=np.uint8)
FLOATS = arrays(np.float64, st.integers(1, 50), elements=st.floats(-3, 3))


@given(FLOATS)
def test_codes_keep_the_order_of_samples_and_clip_what_is_beyond_full_scale(samples: np.ndarray):
    codes = mulaw.encode(np.sort(samples)).astype(int)
    assert np.all(np.diff(codes) >= 0)
    assert np.array_equal(mulaw.encode(samples), mulaw.encode(np.clip(samples, -1, 1)))


@given(FLOATS)
def test_the_error_is_at_most_a_step_of_the_code(samples: np.ndarray):
    clipped = np.clip(samples, -1, 1)
    error = np.abs(mulaw.decode(mulaw.encode(samples)) - clipped)
    assert np.all(error <= 1e-4 + 0.0221 * (np.abs(clipped) + 1 / 255))  # half a step is ln(256) / 255 / 2 of it


def test_every_code_comes_back_from_samples_and_from_wav_files(tmp_path: Path) -> None:
    assert np.array_equal(mulaw.encode(mulaw.decode(CODES)), CODES)
    assert mulaw.encode(np.zeros(3, np.float32)).tolist() == [mulaw.SILENCE] * 3
    with growing_wav(tmp_path / "a.wav", 16_000) as wav:
        for part in (CODES[:100], CODES[100:]):
            wav.write(part)
        assert wav.samples == 256
        assert not (tmp_path / "a.wav").exists()
    assert np.array_equal(read_codes(tmp_path / "a.wav"), CODES)
    write_wav(tmp_path / "b.wav", mulaw.decode(CODES), 16_000)
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()
    (tmp_path / "pipe.wav").write_bytes(wav_header(8000) + to_pcm(CODES))
    with wave.open(str(tmp_path / "pipe.wav")) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (8000, 1, 2)
        assert file.readframes(1000) == to_pcm(CODES)


def test_a_clip_that_cannot_be_written_or_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot read .*file"):
        read_codes(tmp_path / "file")
    with pytest.raises(UserError, match="folder"):
        write_wav(tmp_path / "file/clip.wav", np.zeros(10), 16_000)
    with pytest.raises(KeyError), growing_wav(tmp_path / "clip.wav", 16_000) as wav:
        wav.write(CODES)
        raise KeyError
    assert not (tmp_path / "clip.wav").exists()
    write_wav(tmp_path / "clip.wav", np.array([0.5, 1.5]), 16_000)  # clipped to full scale
    before = (tmp_path / "clip.wav").read_bytes()
    monkeypatch.setattr(Path, "replace", Mock(side_effect=OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))))
    with pytest.raises(UserError, match="space"):
        write_wav(tmp_path / "clip.wav", np.ones(10), 16_000)
    assert (tmp_path / "clip.wav").read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["clip.wav", "file"]
