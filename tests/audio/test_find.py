"""Which files of a folder count as audio; the store reports those that cannot be opened."""

import subprocess
import sys
from pathlib import Path

from sequnet_pl.audio import files


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


def test_find_names_folders_that_cannot_be_read(tmp_path: Path, unprivileged: list[str]):
    for name in ("locked/a.wav", "closed/b.wav", "open/c.wav"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    (tmp_path / "locked").chmod(0o0)
    (tmp_path / "closed").chmod(0o600)  # it can be listed, and nothing in it opened
    code = (
        "import pathlib, sys; from sequnet_pl.audio import files; folder = pathlib.Path(sys.argv[1])\n"
        "print(*(path.relative_to(folder).as_posix() for path in files.find(folder)))"
    )
    command = [*unprivileged, sys.executable, "-c", code, str(tmp_path)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    finally:
        (tmp_path / "locked").chmod(0o700)
        (tmp_path / "closed").chmod(0o700)
    assert done.stdout == "closed/b.wav locked open/c.wav\n"
