"""One recording through yt-dlp: the best audio alone, resumed where it stopped, named by us, and seen to be audio."""

import hashlib
import importlib.util
import io
import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import soundfile as sf
from yt_dlp.globals import supported_js_runtimes
from yt_dlp.utils import YoutubeDLError

from sequnet_pl import atomic
from sequnet_pl.audio.decode import DecodeError, frames
from sequnet_pl.audio.files import SUFFIXES
from sequnet_pl.data.download.endless import FinitePages, bound
from sequnet_pl.data.download.items import Item
from sequnet_pl.data.download.options import Options
from sequnet_pl.data.download.reasons import Refused
from sequnet_pl.data.download.report import Status
from sequnet_pl.errors import UserError

log = logging.getLogger(__name__)

_FORMAT = "bestaudio[protocol^=http]/best[protocol^=http]"  # other protocols would have ffmpeg open what a site names
_PARTIAL = ".partial"  # hidden, so that nothing unfinished counts as a recording

Bytes = Callable[[int, int | None], None]
"""Told of bytes done, and of bytes in all where they are known."""


@dataclass(frozen=True)
class _Quiet:
    """Where yt-dlp's own messages go: errors come as exceptions too, the rest is for those who debug."""

    def debug(self, message: str) -> None:
        log.debug(message)

    info = warning = error = debug


class Fetcher:
    """Downloads into `folder`; one for a run, so that cookies and YouTube's player are kept between recordings."""

    def __init__(self, folder: Path, options: Options, on_bytes: Bytes) -> None:
        self._folder = folder
        self._partial = folder / _PARTIAL
        self._options, self._on_bytes = options, on_bytes
        self._bound = bound({}, options)  # of the recording that comes
        self._ydl = FinitePages(_parameters(options))
        self._ydl.add_progress_hook(self._progress)
        try:
            self._youtube_cookies = bool(self._ydl.cookiejar.get_cookies_for_url("https://www.youtube.com/"))
        except YoutubeDLError as error:
            raise UserError(
                f"{options.cookies} is not a file of cookies in Netscape's format, as --cookies needs"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ydl.close()
        if self._partial.is_dir() and not any(self._partial.iterdir()):
            self._partial.rmdir()

    def advice(self) -> str:
        """What YouTube wants and is not here, in one line; empty where nothing is missing."""
        runtime = supported_js_runtimes.value["deno"]().info
        missing = []
        if not (runtime and runtime.supported and importlib.util.find_spec("yt_dlp_ejs")):
            missing.append("a JavaScript runtime (pip install -U 'yt-dlp[default,deno]')")
        if not self._youtube_cookies:
            missing.append("cookies of a browser, where it asks to sign in (--cookies FILE)")
        return f"YouTube may also want {' and '.join(missing)}" if missing else ""

    def fetch(self, item: Item) -> Path:
        """Download a recording; gives its file. What was partly there is gone on with.

        Raises what yt-dlp raises, OSError, UserError (cannot write), or Refused where what came is of no use.
        """
        info = self._ydl.extract_info(item.url, download=False)
        if not info or "entries" in info:
            raise Refused(Status.UNAVAILABLE, "a page or playlist of several recordings; list each by its own URL")
        if info.get("is_live"):
            raise Refused(Status.UNAVAILABLE, "it is live, and has no end yet")
        # Two formats of one recording must not be spliced where a download resumes.
        form = hashlib.sha256(f"{info.get('format_id')}.{info.get('ext')}".encode()).hexdigest()[:8]
        part = atomic.make_folder(self._partial) / f"{item.stem}-{form}"
        self._bound = bound(info, self._options)
        self._ydl.dl(str(part), info)
        if not part.is_file():
            raise Refused(Status.NETWORK, "the transfer ended without a file")
        return self._publish(part, item, str(info.get("ext")))

    def _progress(self, state: dict[str, Any]) -> None:
        if state["status"] == "downloading":
            self._bound.check(state)
        self._on_bytes(*_bytes_of(state))

    def forget(self, item: Item) -> None:
        """Remove the parts of a recording that will not be gone on with."""
        for path in self._partial.glob(f"{item.stem}-*"):
            path.unlink(missing_ok=True)

    def _publish(self, part: Path, item: Item, extension: str) -> Path:
        """Give a file that is audio its name among the recordings."""
        try:
            next(frames(part))
        except (DecodeError, StopIteration) as error:
            reason = getattr(error, "reason", "it is empty")
            raise Refused(Status.POST_PROCESSING, f"what came cannot be read as audio: {reason}") from error
        target = self._folder / item.split / f"{item.stem}{_suffix(part, extension)}"
        with atomic.replacing(target) as temporary:
            shutil.copyfile(part, temporary)  # a move would lose what came where the disk is full
        self.forget(item)
        return target


def _suffix(path: Path, extension: str) -> str:
    """One of our own suffixes: the one that the site gives, else what the content is, else what ffmpeg finds out."""
    if f".{extension}" in SUFFIXES:
        return f".{extension}"
    try:
        with path.open("rb") as file:
            suffix = f".{sf.info(file).format.lower()}"
    except sf.LibsndfileError:
        suffix = ""
    return suffix if suffix in SUFFIXES else ".mka"


def _bytes_of(state: dict[str, Any]) -> tuple[int, int | None]:
    return state.get("downloaded_bytes") or 0, state.get("total_bytes") or state.get("total_bytes_estimate")


def _parameters(options: Options) -> Any:  # yt-dlp has a type for them, and keeps it to itself
    def pause(n: int) -> float:
        return min(options.sleep * n, 30.0)

    return {
        "format": _FORMAT,
        "logger": _Quiet(),
        "quiet": True,
        "noprogress": True,
        "color": "no_color",
        "noplaylist": True,
        "playlist_items": "1:2",  # enough to see that there are several
        "socket_timeout": options.timeout,
        "retries": options.retries,
        "fragment_retries": options.retries,
        "extractor_retries": 1,
        "skip_unavailable_fragments": False,  # a recording with holes is none
        "retry_sleep_functions": {"http": pause, "fragment": pause, "extractor": pause},
        "sleep_interval_requests": options.sleep / 10,
        "cookiefile": _cookies(options.cookies),
    }


def _cookies(path: Path | None) -> io.StringIO | None:
    """The cookies as a copy: yt-dlp writes those that it gets back to where it read them."""
    if path is None:
        return None
    try:
        return io.StringIO(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"cannot read the cookies in {path}: {getattr(error, 'strerror', None) or 'not text'}"
        ) from error
