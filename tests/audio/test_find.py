"""Which files of a folder are audio, and what is named that cannot be read."""

import os
import subprocess
import sys
from pathlib import Path

from sequnet_pl.audio import files


def test_find_goes_down_in_order_and_passes_hidden_files_over(tmp_path: Path):
    for name in ("b.WAV", "a/z.mp3", "a/note.txt", ".hidden.wav", ".cache/x.wav", "a/deep/er.m4a", "._b.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "a/round").symlink_to(tmp_path, target_is_directory=True)
    found, unread = files.find(tmp_path)
    assert [p.relative_to(tmp_path).as_posix() for p in found] == ["a/deep/er.m4a", "a/z.mp3", "b.WAV"]
    assert unread == []
    assert files.find(tmp_path / "nowhere") == ([], [])


def test_find_follows_a_linked_folder(tmp_path: Path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/a.wav").touch()
    (tmp_path / "music").mkdir()
    (tmp_path / "music/linked").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert files.find(tmp_path / "music") == ([tmp_path / "music/linked/a.wav"], [])


def test_find_tells_files_from_what_is_only_called_so(tmp_path: Path):
    (tmp_path / "a.wav").touch()
    (tmp_path / "linked.wav").symlink_to("a.wav")
    (tmp_path / "sub").mkdir()
    os.mkfifo(tmp_path / "sub/pipe.wav")
    (tmp_path / "broken.wav").symlink_to("nowhere.wav")
    (tmp_path / "round.wav").symlink_to("round.wav")
    (tmp_path / "round").symlink_to("round")
    (tmp_path / "gone").symlink_to("nowhere")
    (tmp_path / "long").symlink_to("a" * 300)
    (tmp_path / "device.wav").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "pipe.txt")
    (tmp_path / "folder.wav").mkdir()
    found, unread = files.find(tmp_path)
    assert [path.name for path in found] == ["a.wav", "linked.wav"]
    assert [path.name for path in unread] == ["broken.wav", "device.wav", "long", "round", "round.wav", "pipe.wav"]


def test_find_names_folders_that_cannot_be_read(tmp_path: Path, unprivileged: list[str]):
    for name in ("locked/a.wav", "closed/b.wav", "open/c.wav"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    (tmp_path / "locked").chmod(0o0)
    (tmp_path / "closed").chmod(0o600)  # it can be listed, and nothing in it opened
    code = (
        "import pathlib, sys; from sequnet_pl.audio import files; folder = pathlib.Path(sys.argv[1])\n"
        "for paths in files.find(folder): print(*(path.relative_to(folder).as_posix() for path in paths))"
    )
    command = [*unprivileged, sys.executable, "-c", code, str(tmp_path)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    finally:
        (tmp_path / "locked").chmod(0o700)
        (tmp_path / "closed").chmod(0o700)
    assert done.stdout == "open/c.wav\nclosed/b.wav locked\n"
