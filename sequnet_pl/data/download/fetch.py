"""Downloads by yt-dlp, one after the other; each is checked to be audio and gets a name of our own."""

import errno
import io
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from http.cookiejar import LoadError
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.filesize import decimal
from yt_dlp import YoutubeDL
from yt_dlp.cookies import YoutubeDLCookieJar
from yt_dlp.networking.exceptions import HTTPError, TransportError
from yt_dlp.utils import ContentTooShortError, DownloadCancelled, match_filter_func

from sequnet_pl import atomic
from sequnet_pl.audio.decode import DecodeError, frames
from sequnet_pl.audio.files import SUFFIXES
from sequnet_pl.data.download.items import Item
from sequnet_pl.data.download.report import Entries, Entry, Options, Status, write_report
from sequnet_pl.errors import UserError
from sequnet_pl.printing import printable

_FORMAT = "bestaudio[protocol^=http]/best[protocol^=http]"  # other protocols would have ffmpeg open what a site names
_PARTIAL = ".partial"  # hidden, so that nothing unfinished counts as a recording
_BYTES_PER_SECOND = 5e6  # more than any recording has
_LENGTH = 300  # characters of a reason

# YouTube reports these in words only.
_RATE_LIMITED = ("rate-limited by youtube", "try again later", "too many requests")
_RETRYABLE = ("not a bot", "captcha", "ip is likely being blocked", "requested format is not available")
_INCOMPLETE = (
    "did not get any data",
    "downloaded file is empty",
    "giving up after",
    "more expected",
    "failed to extract any player",
)


class Refused(DownloadCancelled):
    """A download that yields nothing usable."""


def fetch_all(items: Sequence[Item], folder: Path, entries: Entries, options: Options, console: Console) -> str:
    """Download the items in turn, and write the report after each.

    Returns the reason for stopping before the last item (a rate limit, a full disk), empty where there is none. Raises
    UserError where the cookies cannot be read or the folder cannot be written. An interrupted download is resumed by
    the next call.
    """
    atomic.make_folder(folder / _PARTIAL)
    with console.status("") as status:
        limit = _Limit(options, status.update)
        with YoutubeDL(_parameters(folder, options, limit, console)) as ydl:
            for number, item in enumerate(items, 1):
                limit.start(f"{number}/{len(items)} {item.stem}")
                entry, stop = _fetch(ydl, item, folder)
                entries[item.split, item.recording] = entry
                write_report(folder, entries.values())
                reason = f", {entry.reason}" if entry.reason else ""
                line = printable(f"{number}/{len(items)} {item.recording}: {entry.status}{reason}")
                console.print(line, markup=False, highlight=False, soft_wrap=True)
                if stop:
                    return f"{stop} ({entry.reason})"
    with suppress(OSError):  # of unfinished downloads
        (folder / _PARTIAL).rmdir()
    return ""


def _fetch(ydl: YoutubeDL, item: Item, folder: Path) -> tuple[Entry, str]:
    """Download an item; return its row and, where the run cannot continue, the reason."""
    try:
        part = _download(ydl, item)
        suffix = part.suffix.lower() if part.suffix.lower() in SUFFIXES else ".mka"  # decoding goes by the content
        target = atomic.make_folder(folder / item.split) / f"{item.stem}{suffix}"
        part.replace(target)
        entry, stop = Entry(item.recording, item.split, Status.OK, file=target.relative_to(folder).as_posix()), ""
    except Exception as error:  # yt-dlp supports a thousand sites, and one that has changed may raise anything
        retryable, stop = _classify(error, item)
        if isinstance(error, UserError) and not stop:
            raise
        reason = printable(" ".join(str(error).split()).removeprefix("ERROR: "))[:_LENGTH] or type(error).__name__
        entry = Entry(item.recording, item.split, Status.FAILED if retryable else Status.GONE, reason)
    if entry.status is not Status.FAILED:
        for path in (folder / _PARTIAL).glob(f"{item.stem}.*"):
            path.unlink()
    return entry, stop


def _download(ydl: YoutubeDL, item: Item) -> Path:
    """Return a file that can be read as audio. Raise Refused for anything else."""
    # The stem makes the file's name ours, the format keeps a resumed download from mixing two formats.
    info = ydl.extract_info(item.url, extra_info={"stem": item.stem})
    if not info or "entries" in info:
        raise Refused("a page or playlist of several recordings; list each by its own URL")
    if not (done := info.get("requested_downloads")):
        raise Refused("a live stream, which has no end yet")
    path = Path(done[0]["filepath"])
    try:
        next(frames(path))
    except (DecodeError, StopIteration) as error:
        reason = getattr(error, "reason", "it is empty")
        raise Refused(f"the download cannot be read as audio: {reason}") from error
    return path


def _classify(error: Exception, item: Item) -> tuple[bool, str]:
    """Return whether a retry may succeed, and the reason for ending the run, empty where it can continue."""
    causes, text = list(_causes(error)), str(error).lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    http = next((cause.status for cause in causes if isinstance(cause, HTTPError)), 0)
    if http == 429 or any(words in text for words in _RATE_LIMITED):
        return True, "the server limits downloads"
    if any(isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT) for cause in causes):
        return True, "there is no space left"
    if http:
        return http >= 500 or http in (407, 408, 425) or (http == 403 and item.youtube), ""
    lost = any(isinstance(cause, TransportError | ContentTooShortError | TimeoutError) for cause in causes)
    words = _INCOMPLETE + (_RETRYABLE if item.youtube else ())
    return lost or any(part in text for part in words), ""


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and its causes: yt-dlp keeps them in `exc_info` or `cause`."""
    for _ in range(10):
        if error is None:
            return
        yield error
        exc_info = getattr(error, "exc_info", None) or (None, None)
        error = exc_info[1] or getattr(error, "cause", None) or error.__cause__ or error.__context__


class _Limit:
    """Progress hook that displays the bytes, and raises Refused where an unknown length exceeds the limits."""

    def __init__(self, options: Options, show: Callable[[str], None]) -> None:
        self._options, self._show, self._name, self._started = options, show, "", 0.0

    def start(self, name: str) -> None:
        """Start timing the next recording."""
        self._name, self._started = name, time.monotonic()

    def __call__(self, state: dict[str, Any]) -> None:
        """Check yt-dlp's progress."""
        done, total = state.get("downloaded_bytes") or 0, state.get("total_bytes") or 0  # some servers state -1
        self._show(f"{self._name}: {decimal(done)}" + (f" of {decimal(total)}" if total > 0 else ""))
        if state.get("status") != "downloading" or 0 < done <= total or state.get("fragment_count"):
            return
        info = state.get("info_dict") or {}
        stated = 2 * (info.get("filesize") or 0) or _BYTES_PER_SECOND * (info.get("duration") or 0)
        max_hours = math.inf if stated else self._options.max_hours
        hours = (time.monotonic() - self._started) / 3600
        if done > max(self._options.max_bytes, stated) or hours > max_hours:
            limits = f"{self._options.max_bytes / 1e9:g} GB or {self._options.max_hours:g} hours"
            raise Refused(f"of unknown length, and no end within {limits} (--max-gb, --max-hours), as with radio")


class _Messages:
    """Destination of yt-dlp's messages: warnings are displayed; errors are raised too, and are in the report."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def debug(self, message: str) -> None:
        """Ignore."""

    error = debug

    def warning(self, message: str) -> None:
        """Display a warning, such as one of a missing JavaScript runtime."""
        self._console.print(printable(message), markup=False, highlight=False, soft_wrap=True)


def _parameters(folder: Path, options: Options, limit: _Limit, console: Console) -> Any:
    def pause(n: int) -> float:
        return min(options.sleep * n, 30.0)

    return {
        "format": _FORMAT,
        "paths": {"home": str((folder / _PARTIAL).absolute())},
        "outtmpl": {"default": "%(stem)s.%(format_id)s.%(ext)s"},
        "match_filter": match_filter_func("!is_live"),
        "progress_hooks": [limit],
        "logger": _Messages(console),
        "quiet": True,
        "noprogress": True,
        "color": "no_color",
        "noplaylist": True,
        "playlist_items": "0",
        "fixup": "never",
        "socket_timeout": options.timeout,
        "retries": options.retries,
        "fragment_retries": options.retries,
        "extractor_retries": 1,
        "skip_unavailable_fragments": False,
        "retry_sleep_functions": {"http": pause, "fragment": pause, "extractor": pause},
        "sleep_interval": options.sleep,
        "max_sleep_interval": 2 * options.sleep,
        "sleep_interval_requests": options.sleep / 10,
        "cookiefile": _cookies(options.cookies),
    }


def _cookies(path: Path | None) -> io.StringIO | None:
    """A copy of the cookies: yt-dlp writes new ones to where it read them."""
    if path is None:
        return None
    try:
        text = path.read_text(encoding="utf-8")
        YoutubeDLCookieJar(io.StringIO(text)).load()  # type: ignore[arg-type]
    except LoadError as error:
        raise UserError(f"{path} is not a file of cookies in Netscape's format, as --cookies needs") from error
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise UserError(f"cannot read the cookies in {path}: {reason}") from error
    return io.StringIO(text)
