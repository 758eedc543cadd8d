"""Fetching the published weights, from a server of our own."""

import hashlib
import io
import shutil
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from sequnet_pl.errors import UserError
from sequnet_pl.pretrained.archive import fetch

GOOD = {"snapshots/sequnet/checkpoint_1": b"one" * 100, "snapshots/wavenet/checkpoint_2": b"two" * 100}


def archive(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as out:
        for name, content in members.items():
            out.writestr(name, content)
    return file.getvalue()


class Server(ThreadingHTTPServer):
    """Serves `content` at any path; `cut` bytes of a reply are all it sends. `config` names it."""

    def __init__(self, config: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.config = config
        self.name(f"http://127.0.0.1:{self.server_port}/models.zip?dl=1", "null")
        self.content = archive(GOOD)
        self.cut: int | None = None
        self.requests = 0

    def name(self, address: str, sha256: str) -> None:
        self.config.write_text(f"address: {address}\nsha256: {sha256}\n")


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.requests += 1
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.server.content)))
        self.end_headers()
        self.wfile.write(self.server.content[: self.server.cut])

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("config") / "pretrained.yaml") as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


def test_fetched_once_and_the_hash_logged(server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    found = fetch("sequnet", server.config, tmp_path)
    assert (found / "checkpoint_1").read_bytes() == GOOD["snapshots/sequnet/checkpoint_1"]
    assert hashlib.sha256(server.content).hexdigest() in caplog.text
    assert fetch("wavenet", server.config, tmp_path).name == "wavenet"
    assert server.requests == 1


def test_a_broken_download_begins_anew(server: Server, tmp_path: Path) -> None:
    server.cut = 100
    with pytest.raises(UserError, match=r"cannot download.*--snapshot_dir"):
        fetch("sequnet", server.config, tmp_path)
    server.cut = None
    assert fetch("sequnet", server.config, tmp_path).is_dir()


def test_an_interrupted_unpacking_begins_anew(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object, path: str) -> None:
        Path(path, "checkpoint_1").touch()
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(zipfile.ZipFile, "extractall", fail)
        with pytest.raises(UserError, match="No space left"):
            fetch("sequnet", server.config, tmp_path)
    assert not list(tmp_path.rglob("checkpoint_*"))
    assert (fetch("sequnet", server.config, tmp_path) / "checkpoint_1").is_file()


def test_another_archive_than_before_or_than_the_config_names_is_refused(server: Server, tmp_path: Path) -> None:
    fetch("sequnet", server.config, tmp_path / "remembered")
    shutil.rmtree(tmp_path / "remembered" / "models")
    (tmp_path / "remembered" / "models.zip").unlink()
    server.content = archive(GOOD | {"snapshots/more": b""})
    with pytest.raises(UserError, match="does not match the known hash"):
        fetch("sequnet", server.config, tmp_path / "remembered")
    server.name(f"http://127.0.0.1:{server.server_port}/models.zip", "'" + "00" * 32 + "'")
    with pytest.raises(UserError, match="does not match the known hash"):
        fetch("sequnet", server.config, tmp_path / "named")
    assert not list(tmp_path.rglob("models")) and not list(tmp_path.rglob("models.zip"))


def test_names_that_lead_outside_stay_inside(server: Server, tmp_path: Path) -> None:
    for number, name in enumerate(["/etc/x", "../x", "snapshots/../../x"]):
        server.content = archive(GOOD | {name: b"bad"})
        inside = tmp_path / str(number) / "here" / "models"
        fetch("sequnet", server.config, inside.parent)
        assert all(inside in path.parents for path in (tmp_path / str(number)).rglob("x")) and list(inside.rglob("x"))


def test_what_is_no_archive_and_dead_links_are_one_line_with_advice(server: Server, tmp_path: Path) -> None:
    server.content = b"<html>gone</html>"
    with pytest.raises(UserError, match=r"cannot download or unpack.*--snapshot_dir"):
        fetch("sequnet", server.config, tmp_path)
    server.name("file:///etc/passwd", "null")
    with pytest.raises(UserError, match="cannot download or unpack file:///etc/passwd"):
        fetch("sequnet", server.config, tmp_path)
    assert not list(tmp_path.glob("*.zip"))


def test_the_bundled_config() -> None:
    config = Path(__file__).parents[2] / "configs" / "pretrained.yaml"
    assert yaml.safe_load(config.read_text())["address"].startswith("https://")
