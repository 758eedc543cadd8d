"""Fetching the published weights, from a server of our own."""

import hashlib
import io
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from sequnet_pl.errors import UserError
from sequnet_pl.pretrained.archive import Source, fetch, read_source

GOOD = {"snapshots/sequnet/checkpoint_1": b"one" * 100, "snapshots/wavenet/checkpoint_2": b"two" * 100}


def archive(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as out:
        for name, content in members.items():
            out.writestr(name, content)
    return file.getvalue()


class Server(ThreadingHTTPServer):
    """Serves `content` at any path; `cut` bytes of a reply are all it sends."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = archive(GOOD)
        self.cut: int | None = None
        self.requests = 0
        self.redirect: str | None = None

    def source(self, sha256: str | None = None) -> Source:
        return Source(f"http://127.0.0.1:{self.server_port}/models.zip?dl=1", sha256)


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.requests += 1
        if self.server.redirect:
            self.send_response(302)
            self.send_header("Location", self.server.redirect)
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.server.content)))
        self.end_headers()
        self.wfile.write(self.server.content[: self.server.cut])

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


def test_fetched_once_and_the_hash_logged(server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    found = fetch("sequnet", server.source(), tmp_path)
    assert (found / "checkpoint_1").read_bytes() == GOOD["snapshots/sequnet/checkpoint_1"]
    assert hashlib.sha256(server.content).hexdigest() in caplog.text
    assert fetch("wavenet", server.source(), tmp_path).name == "wavenet"
    assert server.requests == 1


def test_a_broken_download_begins_anew(server: Server, tmp_path: Path) -> None:
    server.cut = 100
    with pytest.raises(UserError, match=r"cannot download.*--snapshot_dir"):
        fetch("sequnet", server.source(), tmp_path)
    server.cut = None
    assert (fetch("sequnet", server.source(), tmp_path) / "checkpoint_1").is_file()


def test_an_interrupted_unpacking_begins_anew(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object, path: str) -> None:
        Path(path, "checkpoint_1").touch()
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(zipfile.ZipFile, "extractall", fail)
        with pytest.raises(UserError, match="No space left"):
            fetch("sequnet", server.source(), tmp_path)
    assert not list(tmp_path.rglob("checkpoint_*"))
    assert (fetch("sequnet", server.source(), tmp_path) / "checkpoint_1").is_file()
    assert server.requests == 1


def test_another_archive_than_before_is_refused(server: Server, tmp_path: Path) -> None:
    fetch("sequnet", server.source(), tmp_path)
    (tmp_path / "models").rename(tmp_path / "away")
    (tmp_path / "models.zip").unlink()
    server.content = archive(GOOD | {"snapshots/more": b""})
    with pytest.raises(UserError, match="was not accepted"):
        fetch("sequnet", server.source(), tmp_path)
    assert not (tmp_path / "models").exists()


def test_a_hash_in_the_config_counts(server: Server, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="was not accepted"):
        fetch("sequnet", server.source(sha256="00" * 32), tmp_path)
    assert not (tmp_path / "models.zip").exists()


@pytest.mark.parametrize("name", ["/etc/x", "../x", "a/../../x", "snapshots/../../x"])
def test_names_that_lead_outside_stay_inside(server: Server, tmp_path: Path, name: str) -> None:
    server.content = archive(GOOD | {name: b"bad"})
    fetch("sequnet", server.source(), tmp_path / "in" / "here")
    inside = tmp_path / "in" / "here" / "models"
    assert all(inside in path.parents for path in tmp_path.rglob("x")) and list(inside.rglob("x"))


def test_no_archive(server: Server, tmp_path: Path) -> None:
    server.content = b"<html>gone</html>"
    with pytest.raises(UserError, match=r"damaged.*--snapshot_dir"):
        fetch("sequnet", server.source(), tmp_path)
    assert not (tmp_path / "models.zip").exists()


def test_dead_links(server: Server, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot download or unpack file:///etc/passwd"):
        fetch("sequnet", Source("file:///etc/passwd", None), tmp_path)
    server.redirect = "file:///etc/passwd"
    with pytest.raises(UserError, match="cannot download"):
        fetch("sequnet", server.source(), tmp_path)
    server.shutdown()
    server.server_close()
    with pytest.raises(UserError, match=r"the link is dead.*--snapshot_dir"):
        fetch("sequnet", server.source(), tmp_path)
    assert not list(tmp_path.glob("*.zip"))


def test_the_bundled_config() -> None:
    source = read_source(Path(__file__).parents[2] / "configs" / "pretrained.yaml")
    assert source.address.startswith("https://")
