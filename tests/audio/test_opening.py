"""Only regular files are opened; whatever else there is ends in a reason, and never in waiting."""

import os
import socket
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from sequnet_pl.audio import files
from sequnet_pl.audio.opening import Unavailable, open_regular
from sequnet_pl.errors import UserError

LATIN_1 = os.fsdecode(b"caf\xe9.wav")


def test_a_regular_file_and_a_link_to_one(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"content")
    (tmp_path / "b").symlink_to("a")
    for name in "ab":
        with open_regular(tmp_path / name) as file:
            assert file.read() == b"content"


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("pipe", "it is a pipe, no file"),
        ("socket", "it is a socket, no file"),
        ("device", "it is a device, no file"),
        ("folder", "it is a folder, no file"),
        ("nothing", "No such file or directory"),
        ("loop", "Too many levels of symbolic links"),
    ],
)
def test_anything_else_is_refused(tmp_path: Path, kind: str, reason: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)  # the name of a socket is short
    path = Path("a.wav")
    made = {
        "pipe": lambda: os.mkfifo(path),
        "socket": lambda: socket.socket(socket.AF_UNIX).bind(str(path)),
        "device": lambda: path.symlink_to("/dev/zero"),
        "folder": path.mkdir,
        "nothing": lambda: path.symlink_to("gone"),
        "loop": lambda: path.symlink_to(path),
    }
    made[kind]()
    with pytest.raises(Unavailable) as caught:
        open_regular(path)
    assert caught.value.reason == reason
    with pytest.raises(UserError, match=f"cannot read a.wav: {reason}"):  # as with --prompt
        files.read(path, 16_000)


@pytest.mark.parametrize("suffix", ["wav", "flac", "m4a"])
def test_a_name_that_is_not_utf8(tmp_path: Path, suffix: str):
    samples = np.sin(np.arange(16_000) * 0.1) / 2
    path = (tmp_path / LATIN_1).with_suffix(f".{suffix}")
    with path.open("wb") as file:
        sf.write(file, samples, 16_000, format="FLAC" if suffix == "flac" else "WAV")
    assert np.abs(files.read(path, 16_000) - samples).max() < 1e-4
