"""What yt-dlp prints, to a status: YouTube's messages by a table, since nothing here asks YouTube."""

import errno
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from io import BytesIO

import pytest
from yt_dlp.networking.common import Response
from yt_dlp.networking.exceptions import HTTPError
from yt_dlp.utils import DownloadError, ExtractorError, GeoRestrictedError

from sequnet_pl.data.download.reasons import Refused, classify, one_line
from sequnet_pl.data.download.report import HEALS, Status

GONE = "Video unavailable. This video is no longer available because"
BLOCKED = "Video unavailable. This video contains content from SME, who has blocked it"
SIGN_IN = "Use --cookies-from-browser or --cookies for the authentication. See  https://github.com/yt-dlp  for how to"
LIMIT = "has been rate-limited by YouTube for up to an hour. It is recommended to use `-t sleep` to add a delay"

MESSAGES = {
    Status.UNAVAILABLE: [
        "Video unavailable",
        "Video unavailable. This video is not available",
        "This video is unavailable",
        "Premieres in 3 days",
        "This live event will begin in 20 minutes.",
        "This video is DRM protected",
        "This live stream recording is not available.",
    ],
    Status.PRIVATE: [
        f"Private video. Sign in if you've been granted access to this video. {SIGN_IN}",
        "Video unavailable. This video is private",
        "Join this channel to get access to members-only content like this video, and other exclusive perks.",
        "This video is available to this channel's members on level: Gold (or any higher level).",
        "This video requires payment to watch.",
        "This video is only available to Music Premium members",
    ],
    Status.REMOVED: [
        "Video unavailable. This video has been removed by the uploader",
        "This video has been removed for violating YouTube's Terms of Service",
        f"{GONE} the YouTube account associated with this video has been terminated.",
        f"{GONE} the uploader has closed their YouTube account.",
        "Video unavailable. This video is no longer available due to a copyright claim by SME",
        f"{BLOCKED} on copyright grounds",
    ],
    Status.GEO_BLOCKED: [
        "Video unavailable. The uploader has not made this video available in your country",
        f"{BLOCKED} in your country on copyright grounds",
        "Video unavailable. This video is not available in your country",
        "This video is not available from your location due to geo restriction",
    ],
    Status.AGE_GATED: [
        f"Sign in to confirm your age. This video may be inappropriate for some users. {SIGN_IN}",
        "This video is age-restricted and only available on YouTube. Learn more",
    ],
    Status.BOT_CHECK: [
        f"Sign in to confirm you\N{RIGHT SINGLE QUOTATION MARK}re not a bot. {SIGN_IN}",
        f"Sign in to confirm you're not a bot. {SIGN_IN}",
        "Video unavailable. YouTube is requiring a captcha challenge before playback",
        "All player responses are invalid. Your IP is likely being blocked by Youtube",
        "Requested format is not available. Use --list-formats for a list of available formats",
    ],
    Status.RATE_LIMITED: [
        f"Video unavailable. This content isn't available, try again later. The current session {LIMIT}",
        "Video unavailable. This content isn\N{RIGHT SINGLE QUOTATION MARK}t available, try again later.",
        "Unable to download API page: HTTP Error 429: Too Many Requests",
    ],
    Status.NETWORK: [
        "Unable to download API page: <urlopen error [Errno -3] Temporary failure in name resolution>",
        "Unable to download API page: HTTPSConnectionPool(host='www.youtube.com', port=443): Read timed out.",
        "Unable to download API page: [Errno 101] Network is unreachable",
        "Failed to extract any player response",
        "\rGot error: 100 bytes read, 48328 more expected. Giving up after 3 retries",
        "content too short (expected 10 bytes and served 5)",
    ],
    Status.NO_SPACE: ["unable to write data: [Errno 28] No space left on device"],
    Status.POST_PROCESSING: ["Postprocessing: audio conversion failed"],
}


@pytest.mark.parametrize(
    ("status", "message"), [(status, text) for status, texts in MESSAGES.items() for text in texts]
)
def test_message_of_youtube(status: Status, message: str) -> None:
    outcome = classify(DownloadError(f"ERROR: [youtube] WM8jstSc_VA: {message}"), youtube=True)
    assert outcome.status is status
    assert outcome.heals == (status in HEALS)
    assert outcome.reason
    assert not any(part in outcome.reason for part in ("ERROR", "[youtube]", "--cookies", "\r", "`"))
    assert (outcome.until is not None) == (status is Status.RATE_LIMITED)


def http_error(status: int, headers: dict[str, str] | None = None) -> DownloadError:
    """As it comes out of yt-dlp: the error of the server within that of the extractor within that of the download."""
    server = HTTPError(Response(BytesIO(), "http://127.0.0.1/a", headers or {}, status))
    extractor = ExtractorError("Unable to download webpage", cause=server, expected=True)
    return DownloadError(f"ERROR: {extractor}", (ExtractorError, extractor, None))


def wait(header: str | None) -> timedelta:
    until = classify(http_error(429, {"Retry-After": header} if header is not None else {}), youtube=False).until
    assert until is not None
    return until - datetime.now(UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        *(("120", 120), (" 0 ", 0), ("-5", 3600), ("soon", 3600), (None, 3600), ("", 3600), ("9" * 40, 7 * 86_400)),
        *(("Wed, 01 Jan 2020 00:00:00 GMT", 0), ("Wed, 01 Jan 9999 00:00:00 GMT", 7 * 86_400), ("٣", 3)),
    ],
)
def test_retry_after(header: str | None, seconds: int) -> None:
    assert abs(wait(header).total_seconds() - seconds) < 60


def test_retry_after_a_date() -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(hours=3), usegmt=True)
    assert abs(wait(date) - timedelta(hours=3)) < timedelta(minutes=1)


def test_forbidden_is_a_bot_check_on_youtube_only() -> None:
    assert classify(http_error(403), youtube=True).status is Status.BOT_CHECK
    assert classify(http_error(403), youtube=False).status is Status.PRIVATE


def test_causes_say_more_than_messages() -> None:
    full = OSError(errno.ENOSPC, "Kein Platz")
    assert classify(DownloadError("ERROR: x", (OSError, full, None)), youtube=True).status is Status.NO_SPACE
    there = GeoRestrictedError("only elsewhere", countries=["DE"])
    assert classify(DownloadError("ERROR: x", (GeoRestrictedError, there, None)), True).status is Status.GEO_BLOCKED
    assert classify(Refused(Status.POST_PROCESSING, "a timed out b"), False).status is Status.POST_PROCESSING


def test_anything_else_is_unavailable_with_a_reason() -> None:
    assert classify(KeyError("streamingData"), youtube=True).status is Status.UNAVAILABLE
    assert classify(KeyError("streamingData"), youtube=True).reason == "'streamingData'"
    assert classify(ValueError(), youtube=False).reason == "ValueError"


def test_reason_is_one_short_printable_line() -> None:
    reason = one_line("ERROR: [generic] a-b: first\n\tsecond \x1b[31mred\x00 " + "long " * 200)
    assert reason.startswith("first second [31mred long")
    assert len(reason) <= 300
    assert reason.isprintable()
