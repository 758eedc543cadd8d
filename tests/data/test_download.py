"""yt-dlp itself against a server on this machine: what comes, what does not and why, and what a second run does."""

import csv
import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
import soundfile as sf
from download_server import Page, Server
from rich.console import Console

from sequnet_pl.audio.decode import frames
from sequnet_pl.data import download as download_module
from sequnet_pl.data.download import Options, Result, download, download_piano
from sequnet_pl.data.download_cli import main
from sequnet_pl.data.download_list import item
from sequnet_pl.data.download_report import Status
from sequnet_pl.errors import UserError

QUICK = Options(sleep=0, timeout=1, retries=3)
KINDS = {"mp3": "audio/mpeg", "m4a": "audio/mp4", "webm": "video/webm"}


@pytest.fixture(scope="session")
def audio(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Five seconds of a tone by file type; some 50 kB each."""
    folder = tmp_path_factory.mktemp("audio")
    sf.write(folder / "a.wav", 0.3 * np.sin(np.arange(48_000 * 5) * 0.05), 48_000)
    for kind in KINDS:
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", folder / "a.wav", folder / f"a.{kind}"]
        subprocess.run(command, check=True)
    return {kind: (folder / f"a.{kind}").read_bytes() for kind in KINDS}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    started = Server({})
    yield started
    started.stop()


@pytest.fixture
def fetch(server: Server, tmp_path: Path) -> Callable[..., Result]:
    """Download the pages of these paths into tmp_path/out."""

    def run(*paths: str, options: Options = QUICK) -> Result:
        return download([item(server.url(path)) for path in paths], tmp_path / "out", options, Console(file=StringIO()))

    return run


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "report.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def files_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("kind", KINDS)
def test_audio_is_kept_as_it_came(
    kind: str, audio: dict[str, bytes], server: Server, fetch: Callable[..., Result]
) -> None:
    server.pages["/a b." + kind] = Page(audio[kind], KINDS[kind])
    server.pages["/music." + kind] = Page(status=302, headers={"Location": f"/a%20b.{kind}"})
    server.pages["/a%20b." + kind] = server.pages["/a b." + kind]
    result = fetch(f"/music.{kind}")
    (file,) = result.files
    assert file.name == item(server.url(f"/music.{kind}")).stem + "." + kind
    assert file.read_bytes() == audio[kind]
    assert next(frames(file))[0] == 48_000
    assert result.exit_status == 0
    assert result.entries[0].status is Status.OK
    assert files_in(result.folder) == {file.name, "report.csv", "archive.txt"}


ENDS = {
    "missing": (Page(status=404), Status.UNAVAILABLE, "404"),
    "gone": (Page(status=410), Status.REMOVED, "410"),
    "forbidden": (Page(status=403), Status.PRIVATE, "403"),
    "lawyers": (Page(status=451), Status.GEO_BLOCKED, "451"),
    "down": (Page(status=503), Status.NETWORK, "503"),
    "broken": (Page(bytes(9999), stops=[10] * 9), Status.NETWORK, "more expected"),
    "stalled": (Page(bytes(9999), stops=[10] * 9, stalls=True), Status.NETWORK, "timed out"),
    "empty": (Page(), Status.NETWORK, "any data"),
    "liar": (Page(b"<html>not audio</html>" * 99), Status.POST_PROCESSING, "cannot be read as audio"),
    "text": (Page(b"<html><title>nothing</title></html>", "text/html"), Status.UNAVAILABLE, "Unsupported URL"),
    "several": (
        Page(b"<html><audio src=/1.mp3></audio><audio src=/2.mp3></audio>", "text/html"),
        Status.UNAVAILABLE,
        "own URL",
    ),
    "circle": (Page(status=302, headers={"Location": "/circle.mp3"}), Status.UNAVAILABLE, "redirect loop"),
}


@pytest.mark.parametrize("name", ENDS)
def test_failure_has_a_status_and_a_reason(name: str, server: Server, fetch: Callable[..., Result]) -> None:
    page, status, reason = ENDS[name]
    server.pages[f"/{name}.mp3"] = page
    result = fetch(f"/{name}.mp3", options=Options(sleep=0, timeout=0.3, retries=1))
    (entry,) = result.entries
    assert (entry.status, entry.file) == (status, "")
    assert reason in entry.reason
    assert (result.exit_status, result.stopped) == (1, "")  # nothing usable came
    assert [(row["status"], row["reason"]) for row in rows(result.folder)] == [(status.value, entry.reason)]


@pytest.mark.parametrize("goal", ["file://{}", "ftp://127.0.0.1/a.mp3", "data:audio/mpeg;base64,AAAA", "javascript:1"])
@pytest.mark.parametrize("where", ["page", "media", "link"])
def test_only_http_is_followed(
    goal: str, where: str, audio: dict[str, bytes], server: Server, fetch: Callable[..., Result], tmp_path: Path
) -> None:
    (tmp_path / "secret.mp3").write_bytes(audio["mp3"])
    goal = goal.format(tmp_path / "secret.mp3")
    away = Page(status=302, headers={"Location": goal})
    server.pages["/a.mp3"] = {
        "page": away,
        "media": Page(audio["mp3"], then=away),
        "link": Page(f"<html><title>x</title><audio src='{goal}'></audio></html>".encode(), "text/html"),
    }[where]
    result = fetch("/a.mp3")
    assert result.files == []
    assert result.entries[0].status in (Status.UNAVAILABLE, Status.POST_PROCESSING)
    if where != "link":
        assert "neither http nor https" in result.entries[0].reason
    assert files_in(result.folder) == {"report.csv"}


@pytest.mark.parametrize(
    "name", ["../../evil.exe", "/tmp/evil.sh", "evil.mp3\\..\\..\\x.bat", "%(id)s.%(ext)s", "-rf.conf"]
)
def test_names_from_the_network_have_no_effect(
    name: str, audio: dict[str, bytes], server: Server, fetch: Callable[..., Result], tmp_path: Path
) -> None:
    attached = {"Content-Disposition": f'attachment; filename="{name}"'}
    title = f"<html><title>{name}\x1b[31m</title><audio src='/disposed'></audio></html>".encode()
    server.pages |= {"/disposed": Page(audio["mp3"], headers=attached), "/title.sh": Page(title, "text/html")}
    result = fetch("/disposed", "/title.sh")
    assert [entry.status for entry in result.entries] == [Status.OK, Status.OK]
    names = {item(server.url(path)).stem + ".mp3" for path in ("/disposed", "/title.sh")}
    assert files_in(tmp_path) == {f"out/{name}" for name in names | {"report.csv", "archive.txt"}}


@pytest.mark.parametrize("stalls", [False, True])
def test_broken_transfer_is_resumed_at_once(
    stalls: bool, audio: dict[str, bytes], server: Server, fetch: Callable[..., Result]
) -> None:
    server.pages["/a.mp3"] = Page(audio["mp3"], stops=[9_000, 20_000, 3_000], stalls=stalls)
    result = fetch("/a.mp3")
    assert result.files[0].read_bytes() == audio["mp3"]
    offsets = [int(asked.removeprefix("bytes=").rstrip("-")) for _, asked in server.requests if asked]
    assert offsets == sorted(set(offsets))
    assert len(offsets) == 2


def test_rerun_resumes_and_then_asks_nothing(
    audio: dict[str, bytes], server: Server, fetch: Callable[..., Result]
) -> None:
    server.pages["/a.mp3"] = Page(audio["mp3"], stops=[9_000, 20_000])
    once = Options(sleep=0, timeout=1, retries=0)
    assert fetch("/a.mp3", options=once).entries[0].status is Status.NETWORK
    assert fetch("/a.mp3", options=once).files[0].read_bytes() == audio["mp3"]
    assert server.requests[-1][1] is not None  # a range
    server.requests.clear()
    again = fetch("/a.mp3")
    assert (again.entries[0].status, again.exit_status, server.requests) == (Status.CACHED, 0, [])
    assert len(again.files) == 1


def test_other_format_of_a_recording_is_not_spliced(
    audio: dict[str, bytes], server: Server, fetch: Callable[..., Result]
) -> None:
    once = Options(sleep=0, timeout=1, retries=0)
    server.pages["/a"] = Page(audio["mp3"], stops=[9_000, 20_000])
    assert fetch("/a", options=once).files == []
    server.pages["/a"] = Page(audio["m4a"], "audio/mp4")
    assert fetch("/a", options=once).files[0].read_bytes() == audio["m4a"]


def test_rerun_tries_only_what_can_heal(audio: dict[str, bytes], server: Server, fetch: Callable[..., Result]) -> None:
    server.pages |= {"/ok.mp3": Page(audio["mp3"]), "/down.mp3": Page(status=503)}
    paths = ("/missing.mp3", "/ok.mp3", "/down.mp3")
    result = fetch(*paths)
    assert [entry.status for entry in result.entries] == [Status.UNAVAILABLE, Status.OK, Status.NETWORK]
    assert result.exit_status == 0
    server.pages |= {"/missing.mp3": Page(audio["mp3"]), "/down.mp3": Page(audio["mp3"])}
    server.requests.clear()
    assert [entry.status for entry in fetch(*paths).entries] == [Status.UNAVAILABLE, Status.CACHED, Status.OK]
    assert {path for path, _ in server.requests} == {"/down.mp3"}
    assert len(fetch(*paths, options=Options(sleep=0, retry_failed=True)).files) == 3


def test_archive_keeps_deleted_recordings_away(
    audio: dict[str, bytes], server: Server, fetch: Callable[..., Result]
) -> None:
    server.pages["/a.mp3"] = Page(audio["mp3"])
    result = fetch("/a.mp3")
    stem = item(server.url("/a.mp3")).stem
    assert (result.folder / "archive.txt").read_text() == f"url {stem}\n"
    result.files[0].unlink()
    deleted = fetch("/a.mp3")
    assert (deleted.files, deleted.exit_status) == ([], 1)
    assert "--retry-failed" in deleted.entries[0].reason
    assert len(fetch("/a.mp3", options=Options(sleep=0, retry_failed=True)).files) == 1
    assert (result.folder / "archive.txt").read_text() == f"url {stem}\n"


def test_limit_stops_politely_and_a_rerun_goes_on(
    audio: dict[str, bytes], server: Server, fetch: Callable[..., Result]
) -> None:
    server.pages |= {f"/{name}.mp3": Page(audio["mp3"]) for name in "ab"}
    server.pages["/limit.mp3"] = Page(status=429, headers={"Retry-After": "7200"}, then=Page(audio["mp3"]))
    paths = ("/a.mp3", "/limit.mp3", "/b.mp3")
    result = fetch(*paths)
    assert [entry.status for entry in result.entries] == [Status.OK, Status.RATE_LIMITED]
    assert (result.untried, result.exit_status) == (1, 1)
    assert "until 20" in result.stopped
    assert result.entries[1].until > result.entries[1].time
    assert "/b.mp3" not in {path for path, _ in server.requests}
    assert [entry.status for entry in fetch(*paths).entries] == [Status.CACHED, Status.OK, Status.OK]


def test_server_that_is_down_is_left_alone(server: Server, fetch: Callable[..., Result]) -> None:
    paths = [f"/{number}.mp3" for number in range(6)]
    server.pages |= {path: Page(status=500) for path in paths}
    result = fetch(*paths)
    assert [entry.status for entry in result.entries] == [Status.NETWORK] * 6
    assert len({path for path, _ in server.requests}) == 3
    server.requests.clear()
    fetch(*paths)
    assert server.requests[0][0] == paths[3]  # what was not tried comes first


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_no_space_while_downloading(
    audio: dict[str, bytes], server: Server, fetch: Callable[..., Result], tmp_path: Path
) -> None:
    server.pages["/a.mp3"] = Page(audio["mp3"], stops=[9_000, 20_000])
    fetch("/a.mp3", options=Options(sleep=0, timeout=1, retries=0))
    (part,) = (tmp_path / "out" / ".partial").iterdir()
    part.unlink()
    part.symlink_to("/dev/full")
    result = fetch("/a.mp3")
    assert result.entries[0].status is Status.NO_SPACE
    assert "no space" in result.stopped
    part.unlink()
    assert fetch("/a.mp3").files[0].read_bytes() == audio["mp3"]


def test_no_space_while_keeping(
    audio: dict[str, bytes], server: Server, fetch: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    server.pages["/a.mp3"] = Page(audio["mp3"])
    fails = [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))]
    sync = os.fsync

    def fsync(file: int) -> None:
        if fails:
            raise fails.pop()
        sync(file)

    monkeypatch.setattr(os, "fsync", fsync)
    result = fetch("/a.mp3", "/b.mp3")
    assert ([entry.status for entry in result.entries], result.untried) == ([Status.NO_SPACE], 1)
    server.pages["/a.mp3"] = Page(audio["mp3"], then=Page(status=500))  # what came has been kept
    assert fetch("/a.mp3").files[0].read_bytes() == audio["mp3"]


def test_report_that_cannot_be_written_is_one_line(
    audio: dict[str, bytes],
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server.pages["/a.mp3"] = Page(audio["mp3"])
    (tmp_path / "list.txt").write_text(server.url("/a.mp3"))

    def fsync(file: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fsync)
    assert main(["--list", str(tmp_path / "list.txt"), "--output", str(tmp_path / "out"), "--sleep", "0"]) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("error: cannot write")
    assert "No space left" in last


def test_interrupt_keeps_what_came(
    audio: dict[str, bytes], server: Server, fetch: Callable[..., Result], tmp_path: Path
) -> None:
    server.pages |= {"/a.mp3": Page(audio["mp3"]), "/b.mp3": Page(audio["mp3"], stops=[40_000, 20_000], stalls=True)}
    (tmp_path / "list.txt").write_text("\n".join(map(server.url, ("/a.mp3", "/b.mp3"))))
    out = tmp_path / "out"
    command = ["--list", str(tmp_path / "list.txt"), "--output", str(out), "--sleep", "0"]
    process = subprocess.Popen(
        [sys.executable, "-m", "sequnet_pl.data.download", *command], stderr=subprocess.PIPE, text=True
    )
    ends = time.monotonic() + 20
    while not (out / "report.csv").exists() or not list(out.glob(".partial/*.part")):
        assert time.monotonic() < ends
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert "goes on from here" in errors.splitlines()[-1]
    assert [row["status"] for row in rows(out)] == ["ok"]
    server.requests.clear()
    result = fetch("/a.mp3", "/b.mp3")
    assert [entry.status for entry in result.entries] == [Status.CACHED, Status.OK]
    assert server.requests[-1][1] is not None  # resumed
    assert result.files[1].read_bytes() == audio["mp3"]


def test_command_sorts_by_split(
    audio: dict[str, bytes], server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.pages |= {f"/{name}.mp3": Page(audio["mp3"]) for name in "abc"}
    listed = [
        f"{split},{server.url(f'/{name}.mp3')}" for split, name in (("train", "a"), ("test", "b"), ("train", "c"))
    ]
    (tmp_path / "list.csv").write_text("\n".join(["split,url", *listed]))
    command = ["--list", str(tmp_path / "list.csv"), "--output", str(tmp_path / "out"), "--sleep", "0"]
    assert main([*command, "--dry-run"]) == 0
    assert (server.requests, (tmp_path / "out").exists()) == ([], False)
    assert capsys.readouterr().out.count("to fetch") == 3
    assert main([*command, "--split", "train", "--limit", "1"]) == 0
    assert [row["split"] for row in rows(tmp_path / "out")] == ["train"]
    assert main(command) == 0
    assert sorted(path.split("/")[0] for path in files_in(tmp_path / "out") if "/" in path) == [
        "test",
        "train",
        "train",
    ]
    assert "3 of 3 recordings" in capsys.readouterr().err
    assert main([*command, "--split", "val"]) == 2
    assert main([*command, "--limit", "0"]) == 2


def test_cookies_are_sent_and_left_as_they_are(
    audio: dict[str, bytes], server: Server, fetch: Callable[..., Result], tmp_path: Path
) -> None:
    server.pages["/a.mp3"] = Page(audio["mp3"], headers={"Set-Cookie": "other=1"})
    cookies = tmp_path / "cookies.txt"
    text = "# Netscape HTTP Cookie File\n127.0.0.1\tFALSE\t/\tFALSE\t0\tname\tvalue\n"
    cookies.write_text(text)
    assert len(fetch("/a.mp3", options=Options(sleep=0, cookies=cookies)).files) == 1
    assert "name=value" in server.cookies[0]
    assert cookies.read_text() == text


@pytest.mark.parametrize("content", [None, "name=value; other=1\n", "\xff"])
def test_bad_cookies_are_one_line(content: str | None, fetch: Callable[..., Result], tmp_path: Path) -> None:
    cookies = tmp_path / "cookies.txt"
    if content is not None:
        cookies.write_text(content, encoding="latin-1")
    with pytest.raises(UserError, match="cookies"):
        fetch("/a.mp3", options=Options(sleep=0, cookies=cookies))


def test_piano(
    audio: dict[str, bytes],
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    listed = tmp_path / "piano.csv"
    listed.write_text(f"split,url\ntrain,{server.url('/a.mp3')}\ntest,{server.url('/b.mp3')}\n")
    monkeypatch.setattr(download_module, "PIANO_LIST", listed)
    monkeypatch.setattr(download_module, "Options", lambda: QUICK)
    with pytest.raises(UserError, match=r"--audio_dir FOLDER.*--dataset builtin"):
        download_piano(tmp_path / "none")
    said = capsys.readouterr().err
    assert "2, about 4 hours and, as an estimate, 0.2 to 0.3 GB" in said.splitlines()[0]
    server.pages |= {"/a.mp3": Page(audio["mp3"]), "/b.mp3": Page(audio["mp3"])}
    download_piano(tmp_path / "out")
    assert sum(path.endswith(".mp3") for path in files_in(tmp_path / "out")) == 2
    server.requests.clear()
    capsys.readouterr()
    download_piano(tmp_path / "out")
    assert (server.requests, capsys.readouterr().err) == ([], "")
