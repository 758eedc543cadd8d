"""The download command: interrupts, a full disk, splits, cookies, its output; and the piano recordings."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from download_server import Audio, Fetch, Page, Server, files_in, rows

from sequnet_pl.cli.main import run_main
from sequnet_pl.data.download import Options
from sequnet_pl.data.download.__main__ import main as command_line
from sequnet_pl.errors import UserError

Captured = pytest.CaptureFixture[str]
WRONG = ("--limit 0", "--max-gb 0", "--sleep -1")


@pytest.fixture
def main(server: Server, tmp_path: Path) -> Callable[..., int]:
    """Run the command on a list of recordings of the server, with further options; returns the exit status."""

    def run(listed: str, *options: str) -> int:
        (tmp_path / "list.csv").write_text(listed.replace(" /", f",{server.url('/')}"))
        arguments = ["--list", str(tmp_path / "list.csv"), "--output", str(tmp_path / "out"), "--sleep", "0"]
        return run_main("download", command_line, [*arguments, *options])

    return run


def test_interrupt_keeps_what_came(audio: Audio, server: Server, fetch: Fetch, tmp_path: Path) -> None:
    server.pages |= {"/a.mp3": Page(audio["mp3"]), "/b.mp3": Page(audio["mp3"], stops=[40_000, 20_000], stalls=True)}
    (tmp_path / "list.txt").write_text("\n".join(map(server.url, ("/a.mp3", "/b.mp3"))))
    out = tmp_path / "out"
    command = ["--list", str(tmp_path / "list.txt"), "--output", str(out), "--sleep", "0"]
    process = subprocess.Popen(
        [sys.executable, "-m", "sequnet_pl.data.download", *command], stderr=subprocess.PIPE, text=True
    )
    ends = time.monotonic() + 20
    while not (out / "report.csv").exists() or not any(path.stat().st_size for path in out.glob(".partial/*.part")):
        assert time.monotonic() < ends
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert "interrupted" in errors.splitlines()[-1]
    assert [row["status"] for row in rows(out)] == ["ok"]
    server.requests.clear()
    result = fetch("/a.mp3", "/b.mp3")
    assert [entry.status for entry in result.entries] == ["ok", "ok"]
    assert server.requests[-1][1] is not None  # resumed
    assert result.files[1].read_bytes() == audio["mp3"]


def test_command_sorts_by_split(
    audio: Audio, server: Server, main: Callable[..., int], tmp_path: Path, capsys: Captured
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
    assert "3 of 3 are in" in capsys.readouterr().err
    assert [main(listed, *wrong.split()) for wrong in WRONG] == [2] * len(WRONG)


def test_cookies_are_sent_and_left_as_they_are(audio: Audio, server: Server, fetch: Fetch, tmp_path: Path) -> None:
    server.pages["/a.mp3"] = Page(audio["mp3"], headers={"Set-Cookie": "other=1"})
    cookies = tmp_path / "cookies.txt"
    text = "# Netscape HTTP Cookie File\n127.0.0.1\tFALSE\t/\tFALSE\t0\tname\tvalue\n"
    cookies.write_text(text)
    assert len(fetch("/a.mp3", options=Options(sleep=0, cookies=cookies)).files) == 1
    assert "name=value" in server.cookies[0]
    assert cookies.read_text() == text


@pytest.mark.parametrize("content", [None, "name=value; other=1\n", "\xff"])
def test_bad_cookies_are_one_line(content: str | None, fetch: Fetch, tmp_path: Path) -> None:
    cookies = tmp_path / "cookies.txt"
    if content is not None:
        cookies.write_text(content, encoding="latin-1")
    with pytest.raises(UserError, match="cookies"):
        fetch("/a.mp3", options=Options(sleep=0, cookies=cookies))


def test_command_sets_the_limits_of_an_unknown_length(
    audio: Audio, server: Server, main: Callable[..., int], capsys: Captured
) -> None:
    server.pages["/radio"] = Page(audio["mp3"], endless=0)
    assert main("split,url\ntrain /radio", "--max-gb", "0.0003", "--max-hours", "1") == 1
    assert "0.0003 GB or 1 hours" in capsys.readouterr().err
