"""yt-dlp itself against a server on this machine: what comes, what does not and why, and what a second run does."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from download_server import KINDS, Page, Server, files_in, rows

from sequnet_pl.audio.decode import frames
from sequnet_pl.data.download import Options, Result
from sequnet_pl.data.download.items import item
from sequnet_pl.data.download.report import Status


@pytest.mark.parametrize("kind", KINDS)
def test_audio_is_kept_as_it_came(
    kind: str, audio: dict[str, bytes], server: Server, fetch: Callable[..., Result]
) -> None:
    server.pages[f"/music.{kind}"] = Page(status=302, headers={"Location": f"/a%20b.{kind}"})
    server.pages[f"/a%20b.{kind}"] = Page(audio[kind], KINDS[kind])
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
    result = fetch("/a", options=once)
    assert result.files[0].read_bytes() == audio["m4a"]
    assert files_in(result.folder) == {result.files[0].name, "report.csv", "archive.txt"}


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
