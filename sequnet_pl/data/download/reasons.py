"""How the download of a recording ended, and why: from the errors and messages of yt-dlp to a few statuses."""

import contextlib
import errno
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from yt_dlp.networking.exceptions import HTTPError, TransportError
from yt_dlp.utils import ContentTooShortError, GeoRestrictedError, PostProcessingError

from sequnet_pl.data.download.report import HEALS, Status

_WAIT = timedelta(hours=1)  # what YouTube's own message says, and a polite guess for others
_LONGEST_WAIT = timedelta(days=7)
_LENGTH = 300
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}

_BY_HTTP_STATUS = {
    401: Status.PRIVATE,
    403: Status.PRIVATE,
    404: Status.UNAVAILABLE,
    407: Status.NETWORK,
    408: Status.NETWORK,
    410: Status.REMOVED,
    425: Status.NETWORK,
    429: Status.RATE_LIMITED,
    451: Status.GEO_BLOCKED,
}

# The first that is found counts: many messages begin with "Video unavailable" and become clear only further on.
_BY_MESSAGE = [
    (Status.NO_SPACE, r"no space left|disk quota exceeded"),
    (Status.RATE_LIMITED, r"rate-limited by youtube|isn't available, try again later|too many requests|http error 429"),
    (Status.BOT_CHECK, r"not a bot|captcha|your ip is likely being blocked|unusual traffic"),
    (Status.GEO_BLOCKED, r"\b(in|from) your (country|location|region)|geo.?restrict"),
    (Status.AGE_GATED, r"confirm your age|age.restrict|inappropriate for some users|verify your age"),
    (Status.PRIVATE, r"video is private|private video|members.only|members on level|join this channel"),
    (Status.PRIVATE, r"premium members|requires payment|registered users|login required|sign in"),
    (Status.REMOVED, r"removed (by|for)|has been removed|no longer available|been terminated|copyright|deleted"),
    (Status.REMOVED, r"closed their youtube account|policy|terms of service"),
    (Status.UNAVAILABLE, r"unsupported url|not a valid url|not allowed"),
    (Status.NETWORK, r"timed out|connection|getaddrinfo|name resolution|resolve|incompleteread|more expected"),
    (Status.NETWORK, r"content too short|did not get any data|unable to download (api|webpage)|http error 5\d\d"),
    (Status.NETWORK, r"network is unreachable|failed to extract any player response|the downloaded file is empty"),
    (Status.POST_PROCESSING, r"post.?processing"),
]
_WITHOUT_MEDIA = re.compile(r"requested format is not available|only images are available|no video formats", re.I)
_OTHER_SCHEME = re.compile(r"connection adapters|url scheme|file:// urls", re.I)
# What follows is advice for people who call yt-dlp themselves.
_ADVICE = re.compile(
    r"[.;]?\s*(Use --|please report|You might want to|It is recommended|\(caused by|Sorry about).*", re.S
)
_PREFIX = re.compile(r"^(\s*ERROR:)?\s*(\[[\w:+.-]+\]\s+)?([\w-]+: (?=\S))?")


class Refused(Exception):
    """A recording that yt-dlp could download, and we do not want: `status` says as what it counts."""

    def __init__(self, status: Status, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True)
class Outcome:
    """How it ended: status, reason in one line, and where a server said to wait, until when (UTC)."""

    status: Status
    reason: str = ""
    until: datetime | None = None

    @property
    def heals(self) -> bool:
        """Whether another time may go well."""
        return self.status in HEALS


def classify(error: BaseException, youtube: bool) -> Outcome:
    """What an error that came out of yt-dlp, or out of writing a file, means for a recording."""
    chain = list(_chain(error))
    reason = one_line(str(error)) or type(error).__name__
    for cause in chain:
        if isinstance(cause, Refused):
            return Outcome(cause.status, reason)
        if isinstance(cause, OSError) and cause.errno in _NO_SPACE:
            return Outcome(Status.NO_SPACE, reason)
        if isinstance(cause, GeoRestrictedError):
            return Outcome(Status.GEO_BLOCKED, reason)
        if isinstance(cause, PostProcessingError):
            return Outcome(Status.POST_PROCESSING, reason)
        if isinstance(cause, HTTPError):
            return _of_http(cause, youtube, reason)
    if _OTHER_SCHEME.search(reason):
        return Outcome(Status.UNAVAILABLE, f"it leads to what is neither http nor https, refused: {reason}")
    if _WITHOUT_MEDIA.search(reason):
        if youtube:
            return Outcome(Status.BOT_CHECK, f"{reason}; a JavaScript runtime or a newer yt-dlp may help")
        return Outcome(Status.UNAVAILABLE, "it has no audio that comes over plain http or https")
    plain = str(error).replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    status = next((status for status, pattern in _BY_MESSAGE if re.search(pattern, plain, re.I)), None)
    if status is None:
        lost = any(isinstance(cause, TransportError | ContentTooShortError | TimeoutError) for cause in chain)
        status = Status.NETWORK if lost else Status.UNAVAILABLE
    return Outcome(status, reason, _now() + _WAIT if status is Status.RATE_LIMITED else None)


def _of_http(error: HTTPError, youtube: bool, reason: str) -> Outcome:
    status = _BY_HTTP_STATUS.get(error.status, Status.NETWORK if error.status >= 500 else Status.UNAVAILABLE)
    if youtube and error.status == 403:
        # YouTube keeps private videos from us in words; this is how it turns a program away.
        return Outcome(Status.BOT_CHECK, f"{reason}; cookies or a newer yt-dlp may help")
    if status is not Status.RATE_LIMITED:
        return Outcome(status, reason)
    return Outcome(status, reason, _retry_after(error.response.headers.get("Retry-After")))


def _retry_after(header: str | None) -> datetime:
    """When to come back (UTC): the header gives seconds or a date; without a sensible one, an hour from now."""
    wait = _WAIT
    if header and header.strip().isdecimal():
        wait = timedelta(seconds=min(int(header.strip()[:9]), _LONGEST_WAIT.total_seconds()))
    elif header:
        with contextlib.suppress(ValueError, OverflowError):
            wait = parsedate_to_datetime(header).astimezone(UTC) - _now()
    return _now() + min(max(wait, timedelta(0)), _LONGEST_WAIT)


def one_line(message: str) -> str:
    """A message of yt-dlp without its prefixes, advice and control characters (some of it comes from the network)."""
    message = _ADVICE.sub("", _PREFIX.sub("", message, count=1))
    printable = "".join(character if character.isprintable() else " " for character in message)
    return " ".join(printable.split())[:_LENGTH]


def _now() -> datetime:
    return datetime.now(UTC)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what caused it, in the several ways in which yt-dlp keeps causes."""
    todo, seen = [error], set[int]()
    while todo:
        current = todo.pop(0)
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        kept = getattr(current, "exc_info", None) or (None, None)
        causes = (getattr(current, "cause", None), kept[1], current.__cause__)
        todo += [cause for cause in causes if isinstance(cause, BaseException)]
