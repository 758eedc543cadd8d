"""Downloads from a server on this machine: files, statuses, reruns, streams without an end, and the command."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from download_server import KINDS, QUICK, Audio, Fetch, Page, Server, files_in, rows
from yt_dlp import YoutubeDL
from yt_dlp.utils import DownloadError

from sequnet_pl.audio.decode import frames
from sequnet_pl.cli.main import run_main
from sequnet_pl.data.download import Options, download
from sequnet_pl.data.download.__main__ import main as command_line
from sequnet_pl.data.download.items import item
from sequnet_pl.errors import UserError
from sequnet_pl.printing import printable


@pytest.mark.parametrize("kind", KINDS)
def test_audio_is_kept_as_it_came(kind: str, audio: Audio, server: Server, fetch: Fetch) -> None:
    server.pages[f"/music.{kind}"] = Page(status=302, headers={"Location": f"/a%20b.{kind}"})
    server.pages[f"/a%20b.{kind}"] = Page(audio[kind], KINDS[kind])
    result = fetch(f"/music.{kind}")
    (file,) = result.files
    assert file.name == item(server.url(f"/music.{kind}")).stem + "." + kind
    assert file.read_bytes() == audio[kind]
    assert next(frames(file))[0] == 48_000
    assert files_in(result.folder) == {file.name, "report.csv"}


LIVE = b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n1.aac\n"
TWO = b"<html><audio src=/1.mp3></audio><audio src=/2.mp3></audio>"
ENDS = {
    "missing": (Page(status=404), "gone", "404"),
    "gone": (Page(status=410), "gone", "410"),
    "forbidden": (Page(status=403), "failed", "403"),
    "down": (Page(status=503), "failed", "503"),
    "broken": (Page(bytes(9999), stops=[10] * 9), "failed", "more expected"),
    "stalled": (Page(bytes(9999), stops=[10] * 9, stalls=True), "failed", "timed out"),
    "empty": (Page(), "failed", "any data"),
    "other": (Page(b"<html>not audio</html>" * 99), "gone", "cannot read"),
    "text": (Page(b"<html><title>nothing</title></html>", "text/html"), "gone", "Unsupported URL"),
    "several": (Page(TWO, "text/html"), "gone", "own URL"),
    "live": (Page(LIVE, "application/vnd.apple.mpegurl"), "gone", ""),
    "unreachable": (Page(status=302, headers={"Location": "http://127.0.0.1:1/a.mp3"}), "failed", "refused"),
    "circle": (Page(status=302, headers={"Location": "/circle.mp3"}), "gone", "redirect loop"),
}


@pytest.mark.parametrize("name", ENDS)
def test_failure_has_a_status_and_a_reason(name: str, server: Server, fetch: Fetch) -> None:
    page, status, reason = ENDS[name]
    server.pages[f"/{name}.mp3"] = page
    timeout = 0.3 if page.stalls else 20
    result = fetch(f"/{name}.mp3", options=Options(sleep=0, timeout=timeout, retries=1))
    (entry,) = result.entries
    assert (entry.status, entry.file) == (status, "")
    assert reason in entry.reason
    assert result.stopped == ""
    assert [(row["status"], row["reason"]) for row in rows(result.folder)] == [(status, entry.reason)]


@pytest.mark.parametrize("goal", ["file://{}", "ftp://127.0.0.1/a.mp3", "data:audio/mpeg;base64,AAAA", "javascript:1"])
@pytest.mark.parametrize("where", ["page", "media", "link"])
def test_only_http_is_followed(
    goal: str, where: str, audio: Audio, server: Server, fetch: Fetch, tmp_path: Path
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
    assert result.entries[0].status == "gone"
    assert files_in(result.folder) == {"report.csv"}


@pytest.mark.parametrize("name", ["../../evil.exe", "evil.mp3\\..\\..\\x.bat", "%(id)s.%(ext)s"])
def test_names_from_the_network_have_no_effect(
    name: str, audio: Audio, server: Server, fetch: Fetch, tmp_path: Path
) -> None:
    attached = {"Content-Disposition": f'attachment; filename="{name}"'}
    title = f"<html><title>{name}\x1b[31m</title><audio src='/disposed'></audio></html>".encode()
    server.pages |= {"/disposed": Page(audio["mp3"], headers=attached), "/title.sh": Page(title, "text/html")}
    result = fetch("/disposed", "/title.sh")
    assert result.entries[1].status == "ok"
    assert {path.stem for path in result.files} <= {item(server.url(path)).stem for path in ("/disposed", "/title.sh")}
    assert files_in(tmp_path) == {"out/report.csv", *(f"out/{path.name}" for path in result.files)}


@pytest.mark.parametrize("stalls", [False, True])
def test_broken_transfer_is_resumed_at_once(stalls: bool, audio: Audio, server: Server, fetch: Fetch) -> None:
    server.pages["/a.mp3"] = Page(audio["mp3"], stops=[9_000, 20_000, 3_000], stalls=stalls)
    result = fetch("/a.mp3")
    assert result.files[0].read_bytes() == audio["mp3"]
    offsets = [int(asked.removeprefix("bytes=").rstrip("-")) for _, asked in server.requests if asked]
    assert offsets == sorted(set(offsets))
    assert len(offsets) == 2


@pytest.mark.parametrize("kind", ["mp3", "m4a"])
def test_rerun_resumes_the_same_format_and_then_asks_nothing(
    kind: str, audio: Audio, server: Server, fetch: Fetch
) -> None:
    server.pages["/a"] = Page(audio["mp3"], stops=[9_000, 20_000])
    once = Options(sleep=0, timeout=1, retries=0)
    assert fetch("/a", options=once).entries[0].status == "failed"
    server.pages["/a"] = Page(audio[kind], KINDS[kind])
    (file,) = fetch("/a", options=once).files
    assert file.read_bytes() == audio[kind]
    assert (server.requests[-1][1] is not None) == (kind == "mp3")  # a range
    server.requests.clear()
    again = fetch("/a")
    assert (again.entries[0].status, again.files, server.requests) == ("ok", [file], [])


def test_rerun_retries_only_what_failed(audio: Audio, server: Server, fetch: Fetch) -> None:
    server.pages |= {"/ok.mp3": Page(audio["mp3"]), "/down.mp3": Page(status=503), "/deleted.mp3": Page(audio["mp3"])}
    paths = ("/missing.mp3", "/ok.mp3", "/down.mp3", "/deleted.mp3")
    result = fetch(*paths)
    assert [entry.status for entry in result.entries] == ["gone", "ok", "failed", "ok"]
    result.files[-1].unlink()
    server.pages |= {"/missing.mp3": Page(audio["mp3"]), "/down.mp3": Page(audio["mp3"])}
    server.requests.clear()
    again = fetch(*paths)
    assert [entry.status for entry in again.entries] == ["gone", "ok", "ok", "gone"]
    assert "deleted after its download" in again.entries[-1].reason
    assert [row["status"] for row in rows(again.folder)] == ["gone", "ok", "ok", "gone"]
    assert {path for path, _ in server.requests} == {"/down.mp3"}
    (again.folder / "report.csv").unlink()
    assert len(fetch(*paths).files) == 4


def test_limit_stops_politely_and_a_rerun_goes_on(audio: Audio, server: Server, fetch: Fetch) -> None:
    server.pages |= {f"/{name}.mp3": Page(audio["mp3"]) for name in "ab"}
    server.pages["/limit.mp3"] = Page(status=429, headers={"Retry-After": "7200"}, then=Page(audio["mp3"]))
    paths = ("/a.mp3", "/limit.mp3", "/b.mp3")
    result = fetch(*paths)
    assert [entry.status for entry in result.entries] == ["ok", "failed"]
    assert "429" in result.stopped
    assert "/b.mp3" not in {path for path, _ in server.requests}
    assert [entry.status for entry in fetch(*paths).entries] == ["ok", "ok", "ok"]


MESSAGES = {
    "Sign in to confirm you\N{RIGHT SINGLE QUOTATION MARK}re not a bot. Use --cookies": ("failed", False),
    "Requested format is not available": ("failed", False),
    "Failed to extract any player response": ("failed", False),
    "This content isn't available, try again later.": ("failed", True),
    "Video unavailable. This video has been removed by the uploader": ("gone", False),
    "unable to write data: [Errno 28] No space left on device": ("failed", True),
    "Private video. Sign in if you've been granted access\x1b[31m": ("gone", False),
}


@pytest.mark.parametrize("message", MESSAGES)
def test_status_of_a_message_of_youtube(message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def extract_info(*_: object, **__: object) -> None:
        raise DownloadError(f"ERROR: [youtube] x: {message}")

    monkeypatch.setattr(YoutubeDL, "extract_info", extract_info)
    result = download([item("-_3abcDEF45"), item("-_3abcDEF46")], tmp_path, QUICK)
    status, stops = MESSAGES[message]
    assert [entry.status for entry in result.entries] == [status] * (1 if stops else 2)
    assert bool(result.stopped) == stops
    assert result.entries[0].reason == printable(f"[youtube] x: {message}")


def test_a_stream_that_ends_within_the_limits_is_kept(audio: Audio, server: Server, fetch: Fetch) -> None:
    server.pages["/a.mp3"] = Page(audio["mp3"], endless=0, pieces=2)
    assert fetch("/a.mp3").files[0].read_bytes() == 2 * audio["mp3"]


@pytest.fixture
def main(server: Server, tmp_path: Path) -> Callable[..., int]:
    """Run the command on a list of recordings of the server, with further options; returns the exit status."""

    def run(listed: str, *options: str) -> int:
        (tmp_path / "list.csv").write_text(listed.replace(" /", f",{server.url('/')}"))
        arguments = ["--list", str(tmp_path / "list.csv"), "--output", str(tmp_path / "out"), "--sleep", "0"]
        return run_main("download", command_line, [*arguments, *options])

    return run


@pytest.mark.parametrize(("pause", "limits"), [(0, "--max-gb 0.0003 --max-hours 1"), (0.02, "--max-hours 0.0001")])
def test_radio_is_refused_once_and_the_next_one_is_downloaded(
    audio: Audio, server: Server, main: Callable[..., int], tmp_path: Path, pause: float, limits: str
) -> None:
    server.pages |= {"/radio": Page(audio["mp3"], endless=pause), "/good.mp3": Page(audio["mp3"])}
    listed = "split,url\ntrain /radio\ntrain /good.mp3"
    assert main(listed, *limits.split()) == 0
    refused, came = rows(tmp_path / "out")
    assert refused["status"] == "gone" and "of unknown length, and no end within" in refused["reason"]
    assert came["status"] == "ok"
    assert files_in(tmp_path / "out") == {"report.csv", came["file"]}, "the partial file is removed"
    asked = len(server.requests)
    main(listed, *limits.split())
    assert len(server.requests) == asked, "neither is asked for again"


def test_interrupt_keeps_what_came(audio: Audio, server: Server, fetch: Fetch, tmp_path: Path) -> None:
    server.pages |= {"/a.mp3": Page(audio["mp3"]), "/b.mp3": Page(audio["mp3"], stops=[40_000, 20_000], stalls=True)}
    (tmp_path / "list.txt").write_text("\n".join(map(server.url, ("/a.mp3", "/b.mp3"))))
    out = tmp_path / "out"
    command = [sys.executable, "-m", "sequnet_pl.data.download", "--list", str(tmp_path / "list.txt")]
    process = subprocess.Popen([*command, "--output", str(out), "--sleep", "0"], stderr=subprocess.PIPE, text=True)
    ends = time.monotonic() + 20
    while not (out / "report.csv").exists() or not any(path.stat().st_size for path in out.glob(".partial/*.part")):
        assert time.monotonic() < ends
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors and "interrupted" in errors.splitlines()[-1]
    assert [row["status"] for row in rows(out)] == ["ok"]
    result = fetch("/a.mp3", "/b.mp3")
    assert [entry.status for entry in result.entries] == ["ok", "ok"]
    assert server.requests[-1][1] is not None  # resumed
    assert result.files[1].read_bytes() == audio["mp3"]


def test_command_sorts_by_split(
    audio: Audio, server: Server, main: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.pages |= {f"/{name}.mp3": Page(audio["mp3"]) for name in "abc"}
    listed = "split,url\ntrain /a.mp3\ntest /b.mp3\ntrain /c.mp3"
    assert main(listed, "--dry-run") == 0
    assert (server.requests, (tmp_path / "out").exists()) == ([], False)
    assert capsys.readouterr().out.count("to fetch") == 3
    assert main(listed, "--limit", "1") == 0
    assert [row["split"] for row in rows(tmp_path / "out")] == ["train"]
    assert main(listed) == 0
    folders = sorted(path.split("/")[0] for path in files_in(tmp_path / "out") if "/" in path)
    assert folders == ["test", "train", "train"]
    for wrong in ("--limit 0", "--max-gb 0", "--sleep -1"):
        assert main(listed, *wrong.split()) == 2


def test_cookies_are_sent_and_left_as_they_are(audio: Audio, server: Server, fetch: Fetch, tmp_path: Path) -> None:
    server.pages["/a.mp3"] = Page(audio["mp3"], headers={"Set-Cookie": "other=1"})
    options = Options(sleep=0, cookies=tmp_path / "cookies.txt")
    for content in (None, "name=value; other=1\n", "\xff"):
        if content:
            (tmp_path / "cookies.txt").write_text(content, encoding="latin-1")
        with pytest.raises(UserError, match="cannot read the cookies"):
            fetch("/a.mp3", options=options)
    text = "# Netscape HTTP Cookie File\n127.0.0.1\tFALSE\t/\tFALSE\t0\tname\tvalue\n"
    (tmp_path / "cookies.txt").write_text(text)
    assert len(fetch("/a.mp3", options=options).files) == 1
    assert "name=value" in server.cookies[0]
    assert (tmp_path / "cookies.txt").read_text() == text
