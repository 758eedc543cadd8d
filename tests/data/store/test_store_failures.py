"""Bad recordings, full disks, damaged stores: the store is the old one or the new one, and nothing is lost."""

import errno
import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest.mock import DEFAULT, Mock

import numpy as np
import pytest
import soundfile as sf
from recordings import assert_holds, make, noise_16k, on_disk

from sequnet_pl.audio.decode import UnavailableError, mono
from sequnet_pl.data.download.items import read_list
from sequnet_pl.data.sources import choose
from sequnet_pl.data.store import encode, fingerprint, open_split
from sequnet_pl.data.store.index import Options
from sequnet_pl.errors import UserError

CODE = """
import ast, sys
from pathlib import Path
from sequnet_pl.data import builtin
from sequnet_pl.data.builtin.pieces import Piece
from sequnet_pl.data.download import fetch
from sequnet_pl.data.stored import StoredRecordings
from sequnet_pl.errors import UserError
builtin.PIECES = [Piece(split, split, 240, 4, "c4:1 e g c5", "C", ((0,), (1, 2)), 1) for split in ("train", "val")]
fetch.fetch_all = lambda *_: "the server is down"
for options in ast.literal_eval(sys.argv[1]):
    data = StoredRecordings(data_dir="data", store_workers=1, **options)
    try: skipped = data.make().skipped
    except UserError as error: sys.exit(f"one line: {error}")
    print(data.fingerprint, len(data.splits["train"].codes), *(f"{Path(s.source).name} {s.reason}" for s in skipped))
"""


def run(folder: Path, sources: list[dict[str, str]], *before: str, limit: str = "") -> subprocess.CompletedProcess[str]:
    """Make the stores of sources in `folder`/data, in a process of its own."""
    command = [*before, sys.executable, "-c", limit + CODE, repr(sources)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)


def test_bad_files_are_skipped_each_with_its_reason(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    names = ("good.wav", "text.wav", "nan.wav", "half.wav", "pipe.wav", "gone.wav")
    everything = [tmp_path / name for name in names]
    good, text, nan, half, pipe, _ = everything
    noise_16k(good)
    text.write_text("not a wave")
    sf.write(nan, np.array([0.1, np.nan, 0.1] * 100), 16_000, subtype="FLOAT")
    half.write_bytes(noise_16k(half, 2, seed=9).read_bytes()[:32_022])
    os.mkfifo(pipe)

    report = make(tmp_path / "store", everything)
    assert {Path(s.source).name: s.reason for s in report.skipped} == {
        "gone.wav": "No such file or directory",
        "nan.wav": "it has NaN or infinite samples",
        "pipe.wav": "it is not a regular file",
        "text.wav": "not audio that FFmpeg can read",
    }
    notes = [r.note for r in report.recordings["train"]]
    assert notes == ["", "used as far as it decodes: it ends at 1.00 s of 2.00 s, cut off or damaged"]
    for name in names[1:]:
        assert sum(name in message for message in caplog.messages) == 1

    pipe.unlink()
    for seed, path in enumerate((text, pipe), 1):
        noise_16k(path, seed=seed)
    report = make(tmp_path / "store", everything)
    assert (report.made, len(report.skipped)) == (2, 2), "a mended file is retried, and no other one"


def test_names_that_are_not_utf8_or_have_two_lines(tmp_path: Path):
    paths = [noise_16k(tmp_path / os.fsdecode(b"caf\xe9.wav")), noise_16k(tmp_path / "line\nend.wav", seed=1)]
    assert [make(tmp_path / "store", paths).made for _ in range(2)] == [2, 0]
    assert_holds(tmp_path / "store", "train", paths)


def test_permission_that_is_given_later(tmp_path: Path, five: list[Path], unprivileged: list[str]):
    closed = noise_16k(tmp_path / "music/deep/6.wav", seed=6).parent
    five[0].chmod(0)
    closed.chmod(0)
    skipped = " 16000 0.wav Permission denied deep Permission denied\n"
    assert run(tmp_path, [{"audio_dir": "music"}], *unprivileged).stdout.endswith(skipped)
    five[0].chmod(0o600)
    closed.chmod(0o700)
    assert run(tmp_path, [{"audio_dir": "music"}], *unprivileged).stdout.endswith(" 25600\n")


def test_nothing_that_can_be_used_or_written(tmp_path: Path, five: list[Path]):
    text = tmp_path / "text.wav"
    text.write_text("not a wave")
    make(tmp_path / "store", five)
    before = fingerprint(tmp_path / "store")
    (tmp_path / "folder/codes.u8").mkdir(parents=True)
    for folder, files, reason in (
        ("new", [text], r"none of 1 audio files can be used; the first, .*text\.wav: not audio[^\n]*$"),
        ("store", [text], "none of 1"),
        ("new", [], "none of 0"),
        ("text.wav/store", five, "cannot make the folder"),
        ("folder", five, r"cannot write .*codes\.u8: Is a directory"),
    ):
        with pytest.raises(UserError, match=reason):
            make(tmp_path / folder, files)
    assert fingerprint(tmp_path / "store") == before


ENOSPC = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(
    ("place", "effects", "kept"),
    [((shutil, "copyfileobj"), [DEFAULT, ENOSPC], 1), ((Path, "replace"), ENOSPC, 0)],
    ids=["codes", "index"],
)
def test_a_full_disk_leaves_the_old_store(
    tmp_path: Path, five: list[Path], monkeypatch: pytest.MonkeyPatch, place: tuple[Any, str], effects: Any, kept: int
):
    """What was decoded until then is kept for the next run, in none of the splits."""
    make(tmp_path / "store", five[:2])
    before = fingerprint(tmp_path / "store")
    with monkeypatch.context() as patch, pytest.raises(UserError, match="No space left on device"):
        patch.setattr(*place, Mock(wraps=getattr(*place), side_effect=effects))
        make(tmp_path / "store", five)
    assert before == fingerprint(tmp_path / "store")
    assert_holds(tmp_path / "store", "train", five[:2])
    assert make(tmp_path / "store", five).made == 3 - kept
    assert_holds(tmp_path / "store", "train", five)
    assert on_disk(tmp_path / "store") == ["codes.u8"]


def test_a_disk_that_fills_while_decoding_stops_at_once(tmp_path: Path, five: list[Path]):
    """The limit on the size of a file stands in for the disk: it reaches the decoding process too."""
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))\n"
    done = run(tmp_path, [{"audio_dir": str(five[0].parent)}], limit=limit)
    assert done.returncode == 1 and "one line: cannot write" in done.stderr and "Traceback" not in done.stderr
    (store,) = (tmp_path / "data/codes").iterdir()
    assert on_disk(store) == ["codes.u8"], "nothing half-written"
    assert make(store, five).made == 5


def test_a_file_that_changes_while_it_is_read_is_not_taken(
    tmp_path: Path, five: list[Path], monkeypatch: pytest.MonkeyPatch
):
    def growing(path: Path, *arguments, **options):
        with path.open("ab") as file:
            file.write(b"more")
        return mono(path, *arguments, **options)

    (tmp_path / "parts").mkdir()
    monkeypatch.setattr(encode, "mono", growing)
    with pytest.raises(UnavailableError, match="it changed while it was read"):
        encode.encode_file(str(five[0]), tmp_path / "parts", Options())


def test_a_damaged_index(tmp_path: Path, five: list[Path], caplog: pytest.LogCaptureFixture):
    make(tmp_path / "store", five)
    before, index = fingerprint(tmp_path / "store"), tmp_path / "store/index.json"
    whole = index.read_text()
    for text in (whole[:200], "[]", '{"format": 2}', whole.replace('"format": 3', '"format": 99'), "\0\xff"):
        index.write_text(text)
        (tmp_path / "store/train.0.codes").touch()  # of an earlier version
        with pytest.raises(UserError, match=r"index\.json.*delete it"):
            open_split(tmp_path / "store", "train")
        assert make(tmp_path / "store", five).made == 5
        assert fingerprint(tmp_path / "store") == before
        assert on_disk(tmp_path / "store") == ["codes.u8"]
    assert "is damaged" in caplog.text


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: os.truncate(path, 100)], ids=["missing", "short"])
def test_damaged_codes(tmp_path: Path, five: list[Path], damage, caplog: pytest.LogCaptureFixture):
    make(tmp_path / "store", five)
    reader = open_split(tmp_path / "store", "train")
    damage(reader.path)
    with pytest.raises(UserError, match="missing or too short"):
        len(reader.codes)
    assert make(tmp_path / "store", five).made == 5
    assert "is missing or too short" in caplog.text
    assert_holds(tmp_path / "store", "train", five)


def test_complete_stores_on_a_disk_that_cannot_be_written(tmp_path: Path, five: list[Path], unprivileged: list[str]):
    """Of those to download, some are there, and the others could not be had."""
    data, urls = tmp_path / "data", tmp_path / "list.txt"
    urls.write_text("\n".join(f"http://127.0.0.1:9/{name}.wav" for name in "abc"))
    for number, item in enumerate(read_list(urls)[:2]):
        folder = choose(data, 16_000, "piano", None, None, str(urls)).roots[0]
        noise_16k(folder / f"{item.stem}.wav", seed=7 + number)
    sources = [{"audio_dir": str(five[0].parent)}, {"recordings": str(urls)}, {"dataset": "builtin"}]
    first = run(tmp_path, sources, *unprivileged)
    assert not first.returncode
    for path in data.rglob(".lock"):
        path.unlink()
    paths = [data, *data.rglob("*")]
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        assert run(tmp_path, sources, *unprivileged).stdout == first.stdout
    finally:
        for path in paths:
            path.chmod(0o755)
    assert not list(data.rglob(".lock"))


def test_a_file_system_without_locks(
    tmp_path: Path, five: list[Path], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(fcntl, "lockf", Mock(side_effect=OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))))
    assert make(tmp_path / "store", five).made == 5
    assert "let only one process make it" in caplog.text
