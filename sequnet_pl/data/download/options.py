"""Options of a download; apart from yt-dlp, which is slow to import."""

from dataclasses import dataclass
from pathlib import Path

from sequnet_pl.errors import UsageError


@dataclass(frozen=True)
class Options:
    """Options of a download.

    Args:
        sleep: Least pause before a download, s; at most twice as much.
        timeout: Time without an answer or a byte after which a connection counts as lost, s.
        retries: How often a broken transfer is resumed within a run.
        cookies: A file of cookies in Netscape's format; it is only read.
        retry_failed: Retry what is gone, and what was deleted after its download.
        max_bytes: Limit for a recording of unknown length, such as a radio stream.
        max_hours: Limit for the time that such a recording takes.
    """

    sleep: float = 10.0
    timeout: float = 20.0
    retries: int = 5
    cookies: Path | None = None
    retry_failed: bool = False
    max_bytes: float = 2e9
    max_hours: float = 2.0

    def __post_init__(self) -> None:
        if not (0 <= self.sleep < float("inf") and 0 < self.timeout < float("inf") and self.retries >= 0):
            raise UsageError("sleep and retries must be at least 0, and the timeout more than 0")
        if not (self.max_bytes > 0 and self.max_hours > 0):
            raise UsageError("--max-gb and --max-hours must be more than 0")
