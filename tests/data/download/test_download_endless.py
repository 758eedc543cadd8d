"""Radio of any kind ends: at a bound of bytes or hours where nobody tells the length, and with a reason."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from download_server import QUICK, Page, Server, files_in, rows

from sequnet_pl.cli.main import run_main
from sequnet_pl.data.download import Result, endless
from sequnet_pl.data.download.__main__ import main
from sequnet_pl.data.download.endless import bound
from sequnet_pl.data.download.reasons import Refused
from sequnet_pl.errors import UsageError

Fetch = Callable[..., Result]
NOT_TOLD = "it does not tell its length"


@pytest.mark.parametrize(
    ("radio", "options", "reason"),
    [
        (Page(endless=0), {"most_bytes": 300_000}, NOT_TOLD),
        (Page(endless=0, headers={"icy-name": "jazz", "icy-metaint": "16000"}), {"most_bytes": 300_000}, NOT_TOLD),
        (Page(endless=0.02), {"most_hours": 0.5 / 3600}, NOT_TOLD),
        (Page(endless=0, kind="audio/aacp"), {"most_bytes": 300_000}, NOT_TOLD),
        (Page(endless=0, kind="application/ogg"), {"most_bytes": 300_000}, NOT_TOLD),
        (Page(endless=0, kind="application/octet-stream"), {"most_bytes": 300_000}, NOT_TOLD),
        (Page(b"<html><p>on and on", endless=0, kind="text/html"), {}, "a page without an end"),
        (Page(b"#EXTM3U\n# on and on\n", endless=0, kind="text/plain"), {}, "a page without an end"),
    ],
)
def test_what_does_not_end_is_refused_once_and_the_next_one_comes(
    audio: dict[str, bytes],
    server: Server,
    tmp_path: Path,
    fetch: Fetch,
    radio: Page,
    options: dict[str, float],
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(endless, "_PAGE_BYTES", 300_000)
    server.pages["/radio"] = replace(radio, body=radio.body or audio["mp3"])
    server.pages["/good.mp3"] = Page(audio["mp3"])
    bounded = replace(QUICK, **options)
    result = fetch("/radio", "/good.mp3", options=bounded)
    refused, came = rows(tmp_path / "out")
    assert refused["status"] == "unavailable" and reason in refused["reason"]
    assert came["status"] == "ok" and len(result.files) == 1
    assert files_in(tmp_path / "out") == {"report.csv", "archive.txt", came["file"]}, "the partial file is removed"
    asked = len(server.requests)
    fetch("/radio", "/good.mp3", options=bounded)
    assert len(server.requests) == asked, "neither is asked for again"


def test_a_told_length_is_no_radio(audio: dict[str, bytes], server: Server, tmp_path: Path, fetch: Fetch) -> None:
    server.pages["/long.mp3"] = Page(audio["mp3"])
    fetch("/long.mp3", options=replace(QUICK, most_bytes=1000, most_hours=1e-9))
    assert rows(tmp_path / "out")[0]["status"] == "ok"


def test_an_end_before_the_bound_is_an_end(
    audio: dict[str, bytes], server: Server, tmp_path: Path, fetch: Fetch
) -> None:
    server.pages["/unknown.mp3"] = Page(audio["mp3"], endless=0, pieces=2)
    fetch("/unknown.mp3", options=QUICK)
    (row,) = rows(tmp_path / "out")
    assert row["status"] == "ok"
    assert (tmp_path / "out" / row["file"]).read_bytes() == 2 * audio["mp3"]


@pytest.mark.parametrize(
    ("info", "state", "refused"),
    [
        ({}, {"downloaded_bytes": 2.1e9}, True),
        ({}, {"downloaded_bytes": 2.1e9, "total_bytes": 3e9}, False),
        ({}, {"downloaded_bytes": 2.1e9, "total_bytes_estimate": 3e9}, True),
        ({}, {"downloaded_bytes": 2.1e9, "fragment_count": 700}, False),
        ({"duration": 36_000}, {"downloaded_bytes": 2.1e9}, False),
        ({"duration": 200}, {"downloaded_bytes": 2.1e9}, True),
        ({"filesize": 3_000_000_000}, {"downloaded_bytes": 2.9e9}, False),
        ({"filesize": 3_000_000}, {"downloaded_bytes": 2.1e9}, True),
    ],
)
def test_who_tells_the_length(info: dict[str, float], state: dict[str, float], refused: bool) -> None:
    if refused:
        with pytest.raises(Refused, match="within 2 GB"):
            bound(info, QUICK).check(state)
    else:
        bound(info, QUICK).check(state)


def test_the_command_has_options_for_both(
    audio: dict[str, bytes], server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.pages["/radio"] = Page(audio["mp3"], endless=0)
    (tmp_path / "list.txt").write_text(server.url("/radio"))
    command = ["--list", str(tmp_path / "list.txt"), "--output", str(tmp_path / "out"), "--sleep", "0"]
    assert run_main("download", main, [*command, "--max-gb", "0.0003", "--max-hours", "1"]) == 1
    assert "0.0003 GB or 1 hours" in capsys.readouterr().err
    assert run_main("download", main, [*command, "--max-gb", "0"]) == UsageError.exit_status
