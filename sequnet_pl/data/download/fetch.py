"""Downloads by yt-dlp, one after the other; each is checked to be audio and gets a name of our own."""

import io
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.filesize import decimal
from yt_dlp import YoutubeDL
from yt_dlp.cookies import YoutubeDLCookieJar
from yt_dlp.utils import DownloadCancelled, match_filter_func

from sequnet_pl import atomic
from sequnet_pl.audio.decode import frames
from sequnet_pl.audio.files import SUFFIXES
from sequnet_pl.data.download.items import Item
from sequnet_pl.data.download.report import Entries, Entry, Options, write_report
from sequnet_pl.errors import UserError
from sequnet_pl.printing import printable

_PARTIAL = ".partial"  # hidden, so that nothing unfinished counts as a recording
_STOPPING = re.compile(r"(?i)http error 429|too many requests|rate-limited by|try again later|no space left|disk quota")
"""Errors of yt-dlp that end a run."""
_RETRYABLE = re.compile(
    r"(?i)http error (403|408|5)|timed out|giving up after|more expected|did not get any data|file is empty"
    r"|caused by (transport|ssl|certificateverify|proxy|incompleteread)"
    r"|\[youtube\].*(not a bot|captcha|being blocked|requested format|failed to extract any player)"
)
"""Errors of yt-dlp that the next run may not meet."""


class Refused(DownloadCancelled):
    """A download that yields nothing usable."""


def fetch_all(items: Sequence[Item], folder: Path, entries: Entries, options: Options, console: Console) -> str:
    """Download the items in turn, and write the report after each.

    Returns the reason for stopping before the last item (a rate limit, a full disk), empty where there is none. Raises
    UserError where the cookies cannot be read or the folder cannot be written. An interrupted download is resumed by
    the next call.
    """
    atomic.make_folder(folder / _PARTIAL)
    with console.status("") as status, YoutubeDL(_parameters(folder, options, status.update, console)) as ydl:
        for number, item in enumerate(items, 1):
            entry = _fetch(ydl, item, folder)
            entries[item.split, item.recording] = entry
            write_report(folder, entries.values())
            line = f"{number}/{len(items)} {item.recording}: {entry.status} {entry.reason}"
            console.out(printable(line.rstrip()), highlight=False)
            if _STOPPING.search(entry.reason):
                return entry.reason
    return ""


def _fetch(ydl: YoutubeDL, item: Item, folder: Path) -> Entry:
    """Download an item, check that it is audio, and return its row."""
    try:
        # The stem makes the file's name ours, the format keeps a resumed download from mixing two formats.
        info = ydl.extract_info(item.url, extra_info={"stem": item.stem})
        if not info or "entries" in info:
            raise Refused("a page or playlist of several recordings; list each by its own URL")
        if not (done := info.get("requested_downloads")):
            raise Refused("a live stream, which has no end yet")
        part = Path(done[0]["filepath"])
        if next(frames(part), None) is None:
            raise Refused("the file has no sound")
    except Exception as error:  # yt-dlp supports a thousand sites, and one that has changed may raise anything
        reason = printable(" ".join(str(error).split()).removeprefix("ERROR: "))[:1000] or type(error).__name__
        status = "failed" if _STOPPING.search(reason) or _RETRYABLE.search(reason) else "gone"
        entry = Entry(item.recording, item.split, status, reason)
    else:
        suffix = part.suffix.lower() if part.suffix.lower() in SUFFIXES else ".mka"  # decoding goes by the content
        target = part.replace(atomic.make_folder(folder / item.split) / f"{item.stem}{suffix}")
        entry = Entry(item.recording, item.split, "ok", file=target.relative_to(folder).as_posix())
    if entry.status != "failed":
        for path in (folder / _PARTIAL).glob(f"{item.stem}.*"):
            path.unlink()
    return entry


class _Messages:
    """Destination of yt-dlp's messages: warnings are displayed; errors are raised too, and are in the report."""

    def __init__(self, warning: Callable[[str], None]) -> None:
        self.warning = warning

    def debug(self, message: str) -> None:
        """Ignore."""

    error = debug


def _parameters(folder: Path, options: Options, show: Callable[[str], None], console: Console) -> Any:
    def warn(message: str) -> None:
        console.out(printable(message), highlight=False)

    def check(state: dict[str, Any]) -> None:
        done, total = state.get("downloaded_bytes") or 0, state.get("total_bytes") or 0  # some servers state -1
        show(f"{state['info_dict']['stem']}: {decimal(done)}" + (f" of {decimal(total)}" if total > 0 else ""))
        if done <= total or state.get("fragment_count") or state["info_dict"].get("duration"):
            return
        if done > options.max_bytes or (state.get("elapsed") or 0) > 3600 * options.max_hours:
            limits = f"{options.max_bytes / 1e9:g} GB or {options.max_hours:g} hours"
            raise Refused(f"of unknown length, and no end within {limits} (--max-gb, --max-hours), as with radio")

    return {
        # other protocols would have ffmpeg open what a site names
        "format": "bestaudio[protocol^=http]/best[protocol^=http]",
        "paths": {"home": str((folder / _PARTIAL).absolute())},
        "outtmpl": {"default": "%(stem)s.%(format_id)s.%(ext)s"},
        "match_filter": match_filter_func("!is_live"),
        "progress_hooks": [check],
        "logger": _Messages(warn),
        "color": "no_color",
        "noplaylist": True,
        "playlist_items": "0",
        "fixup": "never",
        "socket_timeout": options.timeout,
        "retries": options.retries,
        "fragment_retries": options.retries,
        "skip_unavailable_fragments": False,
        "retry_sleep_functions": dict.fromkeys(("http", "fragment", "extractor"), lambda n: min(options.sleep * n, 30)),
        "sleep_interval": options.sleep,
        "max_sleep_interval": 2 * options.sleep,
        "sleep_interval_requests": options.sleep / 10,
        "cookiefile": options.cookies and _cookies(options.cookies),
    }


def _cookies(path: Path) -> io.StringIO:
    """A copy of the cookies: yt-dlp writes new ones to where it read them."""
    try:
        YoutubeDLCookieJar(str(path)).load()
        return io.StringIO(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read the cookies in {path}: {error}") from error
