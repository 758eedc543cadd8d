"""Downloads of unknown length, such as radio, end at a limit of bytes or hours."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from download_server import QUICK, Page, Server, files_in, rows

from sequnet_pl.cli.main import run_main
from sequnet_pl.data.download import Result
from sequnet_pl.data.download.__main__ import main
from sequnet_pl.errors import UsageError

Fetch = Callable[..., Result]


@pytest.mark.parametrize(
    ("radio", "options"),
    [
        (Page(endless=0), {"max_bytes": 300_000}),
        (Page(endless=0, headers={"icy-name": "jazz", "icy-metaint": "16000"}), {"max_bytes": 300_000}),
        (Page(endless=0.02), {"max_hours": 0.5 / 3600}),
        (Page(endless=0, kind="audio/aacp"), {"max_bytes": 300_000}),
        (Page(endless=0, kind="application/ogg"), {"max_bytes": 300_000}),
        (Page(endless=0, kind="application/octet-stream"), {"max_bytes": 300_000}),
    ],
)
def test_radio_is_refused_once_and_the_next_one_is_downloaded(
    audio: dict[str, bytes],
    server: Server,
    tmp_path: Path,
    fetch: Fetch,
    radio: Page,
    options: dict[str, float],
) -> None:
    server.pages["/radio"] = replace(radio, body=radio.body or audio["mp3"])
    server.pages["/good.mp3"] = Page(audio["mp3"])
    bounded = replace(QUICK, **options)
    result = fetch("/radio", "/good.mp3", options=bounded)
    refused, came = rows(tmp_path / "out")
    assert refused["status"] == "gone" and "unknown length" in refused["reason"]
    assert came["status"] == "ok" and len(result.files) == 1
    assert files_in(tmp_path / "out") == {"report.csv", came["file"]}, "the partial file is removed"
    asked = len(server.requests)
    fetch("/radio", "/good.mp3", options=bounded)
    assert len(server.requests) == asked, "neither is asked for again"


def test_a_known_length_is_not_limited(audio: dict[str, bytes], server: Server, tmp_path: Path, fetch: Fetch) -> None:
    server.pages["/long.mp3"] = Page(audio["mp3"])
    fetch("/long.mp3", options=replace(QUICK, max_bytes=1000, max_hours=1e-9))
    assert rows(tmp_path / "out")[0]["status"] == "ok"


def test_an_unknown_length_within_the_limits_is_downloaded(
    audio: dict[str, bytes], server: Server, tmp_path: Path, fetch: Fetch
) -> None:
    server.pages["/unknown.mp3"] = Page(audio["mp3"], endless=0, pieces=2)
    fetch("/unknown.mp3", options=QUICK)
    (row,) = rows(tmp_path / "out")
    assert row["status"] == "ok"
    assert (tmp_path / "out" / row["file"]).read_bytes() == 2 * audio["mp3"]


def test_the_command_sets_both_limits(
    audio: dict[str, bytes], server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.pages["/radio"] = Page(audio["mp3"], endless=0)
    (tmp_path / "list.txt").write_text(server.url("/radio"))
    command = ["--list", str(tmp_path / "list.txt"), "--output", str(tmp_path / "out"), "--sleep", "0"]
    assert run_main("download", main, [*command, "--max-gb", "0.0003", "--max-hours", "1"]) == 1
    assert "0.0003 GB or 1 hours" in capsys.readouterr().err
    assert run_main("download", main, [*command, "--max-gb", "0"]) == UsageError.exit_status
