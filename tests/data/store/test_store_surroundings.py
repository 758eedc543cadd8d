"""What is wrong with the surroundings is no property of a file: it is named, and tried again in the next run."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from sequnet_pl.data.store import make_store, open_split

LATIN_1 = os.fsdecode(b"caf\xe9.wav")


def noise(path: Path, seed: int = 0, form: str = "WAV") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        sf.write(file, np.random.default_rng(seed).uniform(-0.9, 0.9, 4000), 16_000, format=form)
    return path


def store_of(folder: Path, *paths: Path) -> tuple[dict[str, str], list[str]]:
    """Make the store; gives why each file was skipped, and the names of those that were taken."""
    report = make_store({"train": paths}, folder, workers=1, progress=False)
    return {Path(s.source).name: s.reason for s in report.skipped}, [
        Path(r.source).name for r in report.recordings["train"]
    ]


def test_what_is_no_file_is_skipped_with_its_reason_until_it_is_one(tmp_path: Path):
    good, pipe = noise(tmp_path / "good.wav"), tmp_path / "pipe.wav"
    os.mkfifo(pipe)
    assert store_of(tmp_path / "store", good, pipe) == ({"pipe.wav": "it is not a regular file"}, ["good.wav"])
    pipe.unlink()
    noise(pipe, 1)
    assert store_of(tmp_path / "store", good, pipe) == ({}, ["good.wav", "pipe.wav"])


def test_a_name_that_is_not_utf8_is_stored_and_known_again(tmp_path: Path):
    paths = [noise(tmp_path / LATIN_1), noise(tmp_path / "line\nend.wav", 1)]
    assert store_of(tmp_path / "store", *paths) == ({}, [LATIN_1, "line\nend.wav"])
    report = make_store({"train": paths}, tmp_path / "store", progress=False)
    assert report.made == 0 and [Path(r.source) for r in open_split(tmp_path / "store", "train").recordings] == paths


def test_permission_that_is_given_later(tmp_path: Path, unprivileged: list[str]):
    paths = [noise(tmp_path / "music/a.wav"), noise(tmp_path / "music/b.wav", 1), noise(tmp_path / "deep/c.wav", 2)]
    code = (
        "import pathlib, sys; from sequnet_pl.data.store import make_store\n"
        "folder, *files = map(pathlib.Path, sys.argv[1:])\n"
        "report = make_store({'train': files}, folder, workers=1, progress=False)\n"
        "print(len(report.recordings['train']), *(s.source[-5:] + ' ' + s.reason for s in report.skipped), sep=';')"
    )
    command = [*unprivileged, sys.executable, "-c", code, str(tmp_path / "store"), *map(str, paths)]

    def said() -> str:
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.strip()

    paths[0].chmod(0)
    paths[2].parent.chmod(0)
    assert said() == "1;c.wav Permission denied;a.wav Permission denied"
    paths[0].chmod(0o600)
    paths[2].parent.chmod(0o700)
    assert said() == "3"


def test_a_file_that_is_no_audio_is_not_tried_again(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    (tmp_path / "bad.wav").write_text("no audio")
    paths = [noise(tmp_path / "good.wav"), tmp_path / "bad.wav"]
    store_of(tmp_path / "store", *paths)
    caplog.clear()
    skipped, _ = store_of(tmp_path / "store", *paths)
    assert list(skipped) == ["bad.wav"] and "skipped 1 files again" in caplog.text
