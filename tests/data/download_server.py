"""A web server on this machine, to download from: good audio, and everything that goes wrong on the way."""

import csv
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sequnet_pl.data.download import Options, Result

Audio = dict[str, bytes]
"""Files by suffix."""
Fetch = Callable[..., Result]
"""Downloads paths of the server."""
KINDS = {"mp3": "audio/mpeg", "m4a": "audio/mp4", "webm": "video/webm"}
"""Content types by suffix."""
QUICK = Options(sleep=0, timeout=1, retries=3)


@dataclass
class Page:
    """What a path answers with: `body`, cut after `stops` bytes by closing or, where it `stalls`, by silence."""

    body: bytes = b""
    kind: str = "audio/mpeg"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    stops: list[int] = field(default_factory=list)  # of the first answers; later ones are whole
    stalls: bool = False
    then: "Page | None" = None  # what every answer but the first is
    endless: float | None = None  # the body again and again without a length, so many seconds apart
    pieces: float = float("inf")  # how often, then


class Server(ThreadingHTTPServer):
    """Serves `pages` by path from a thread; `requests` are the paths and Range headers of all requests."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, pages: dict[str, Page]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.pages = pages
        self.requests: list[tuple[str, str | None]] = []
        self.cookies: list[str] = []
        self.closing = threading.Event()
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"

    def stop(self) -> None:
        self.closing.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients hang up here; that is what is tested."""


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        path, asked = urlsplit(self.path).path, self.headers.get("Range")
        self.server.requests.append((path, asked))
        self.server.cookies.append(self.headers.get("Cookie", ""))
        page = self.server.pages.get(path, Page(status=404))
        if page.then:
            self.server.pages[path] = page.then
        start = int(asked.removeprefix("bytes=").split("-")[0]) if asked else 0
        rest = page.body[start:]
        self.send_response(206 if asked and page.status == 200 else page.status)
        headers = {"Content-Type": page.kind} | page.headers
        if page.endless is None:
            headers["Content-Length"] = str(len(rest))
        if asked:
            headers["Content-Range"] = f"bytes {start}-{len(page.body) - 1}/{len(page.body)}"
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        stop = page.stops.pop(0) if page.stops else None
        self.wfile.write(rest[:stop])
        if stop is not None and page.stalls:
            self.server.closing.wait(20)
        sent = 1
        while page.endless is not None and sent < page.pieces and not self.server.closing.wait(page.endless):
            self.wfile.write(page.body)
            sent += 1


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "report.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def files_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
