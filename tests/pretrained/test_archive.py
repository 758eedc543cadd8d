"""Fetching the published weights, from a server of our own."""

import hashlib
import io
import stat
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from sequnet_pl.errors import UserError
from sequnet_pl.pretrained.archive import Source, fetch, read_source

GOOD = {"snapshots/sequnet/checkpoint_1": b"one" * 100, "snapshots/wavenet/checkpoint_2": b"two" * 100}


def archive(members: dict[str, bytes], links: tuple[str, ...] = ()) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as out:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (stat.S_IFLNK if name in links else stat.S_IFREG) << 16
            out.writestr(info, content)
    return file.getvalue()


class Server(ThreadingHTTPServer):
    """Serves `content` at any path, by ranges too; `cut` bytes of a reply are all it sends."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = archive(GOOD)
        self.cut: int | None = None
        self.ranges: list[str | None] = []
        self.redirect: str | None = None

    def source(self, **changes: object) -> Source:
        settings = {"address": f"http://127.0.0.1:{self.server_port}/models.zip?dl=1", "sha256": None}
        return Source(**(settings | {"most_bytes": 10_000} | changes))  # type: ignore[arg-type]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.server.ranges.append(asked)
        if self.server.redirect:
            self.send_response(302)
            self.send_header("Location", self.server.redirect)
            self.end_headers()
            return
        content = self.server.content
        first = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        if first >= len(content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.end_headers()
            return
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - first))
        self.end_headers()
        self.wfile.write(content[first:][: self.server.cut])

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


def test_fetched_once_and_the_hash_shown(server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    seen: list[tuple[int, int | None]] = []
    found = fetch("sequnet", server.source(), tmp_path, lambda *progress: seen.append(progress))
    assert (found / "checkpoint_1").read_bytes() == GOOD["snapshots/sequnet/checkpoint_1"]
    assert hashlib.sha256(server.content).hexdigest() in caplog.text
    assert seen[-1] == (len(server.content), len(server.content))
    assert fetch("wavenet", server.source(), tmp_path).name == "wavenet"
    assert len(server.ranges) == 1


def test_a_broken_download_goes_on(server: Server, tmp_path: Path) -> None:
    server.cut = 100
    with pytest.raises(UserError, match="100 of"):
        fetch("sequnet", server.source(), tmp_path)
    server.cut = None
    assert (fetch("sequnet", server.source(), tmp_path) / "checkpoint_1").is_file()
    assert server.ranges == [None, "bytes=100-"]


def test_a_download_that_was_all_there(server: Server, tmp_path: Path) -> None:
    (tmp_path / "models.zip.part").write_bytes(server.content)
    assert (fetch("sequnet", server.source(), tmp_path) / "checkpoint_1").is_file()


def test_a_part_of_something_longer_starts_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "models.zip.part").write_bytes(b"x" * (len(server.content) + 5))
    assert (fetch("sequnet", server.source(), tmp_path) / "checkpoint_1").is_file()


def test_another_archive_than_before_is_refused(server: Server, tmp_path: Path) -> None:
    fetch("sequnet", server.source(), tmp_path)
    (tmp_path / "models").rename(tmp_path / "away")
    (tmp_path / "models.zip").unlink()
    server.content = archive(GOOD | {"snapshots/more": b""})
    with pytest.raises(UserError, match="has changed"):
        fetch("sequnet", server.source(), tmp_path)
    assert not (tmp_path / "models").exists()


def test_a_hash_in_the_config_counts(server: Server, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="sha-256 is not 00"):
        fetch("sequnet", server.source(sha256="00"), tmp_path)


@pytest.mark.parametrize("name", ["/etc/x", "../x", "a/../../x", "C:/x", "..\\x", "snapshots/../../x"])
def test_names_that_lead_outside(server: Server, tmp_path: Path, name: str) -> None:
    server.content = archive(GOOD | {name: b"bad"})
    with pytest.raises(UserError, match="outside its folder; nothing was unpacked"):
        fetch("sequnet", server.source(), tmp_path / "in" / "here")
    assert not list(tmp_path.rglob("x")) and not (tmp_path / "in" / "here" / "models").exists()


def test_links(server: Server, tmp_path: Path) -> None:
    server.content = archive(GOOD | {"snapshots/link": b"/etc"}, links=("snapshots/link",))
    with pytest.raises(UserError, match="link"):
        fetch("sequnet", server.source(), tmp_path)


def test_too_large_to_download_or_to_unpack(server: Server, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="larger than"):
        fetch("sequnet", server.source(most_bytes=100), tmp_path / "a")
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("snapshots/sequnet/checkpoint_1", bytes(1_000_000))
    server.content = file.getvalue()
    with pytest.raises(UserError, match="more than is allowed"):
        fetch("sequnet", server.source(), tmp_path / "b")
    assert sorted(path.name for path in (tmp_path / "b").iterdir()) == ["models.zip", "models.zip.sha256"]


def test_no_archive(server: Server, tmp_path: Path) -> None:
    server.content = b"<html>gone</html>"
    with pytest.raises(UserError, match=r"damaged.*--snapshot_dir"):
        fetch("sequnet", server.source(), tmp_path)
    assert not (tmp_path / "models.zip").exists()


def test_dead_links(server: Server, tmp_path: Path) -> None:
    server.redirect = "file:///etc/passwd"
    with pytest.raises(UserError, match="HTTP status 302"):
        fetch("sequnet", server.source(), tmp_path)
    with pytest.raises(UserError, match="not an address of http"):
        fetch("sequnet", server.source(address="file:///etc/passwd"), tmp_path)
    server.shutdown()
    server.server_close()
    with pytest.raises(UserError, match=r"the link is dead.*--snapshot_dir"):
        fetch("sequnet", server.source(), tmp_path)


def test_the_config_that_ships() -> None:
    source = read_source(Path(__file__).parents[2] / "configs" / "pretrained.yaml")
    assert source.address.startswith("https://") and source.most_bytes > 2**30
