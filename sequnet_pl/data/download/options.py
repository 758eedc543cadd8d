"""How a download is done; apart from what does it, which is slow to import."""

from dataclasses import dataclass
from pathlib import Path

from sequnet_pl.errors import UsageError


@dataclass(frozen=True)
class Options:
    """How to download.

    Args:
        sleep: Seconds between two recordings, at least; up to twice as many.
        timeout: Seconds without an answer or a byte after which a server counts as lost.
        retries: Times that a broken transfer is gone on with.
        cookies: A file of cookies in Netscape's format; it is only read.
        retry_failed: Try again what failed for good, and what was deleted after it came.
        most_bytes: Of a recording that tells neither its length nor its duration, as a radio does; more are refused.
        most_hours: How long such a recording may take to come.
    """

    sleep: float = 10.0
    timeout: float = 20.0
    retries: int = 5
    cookies: Path | None = None
    retry_failed: bool = False
    most_bytes: float = 2e9
    most_hours: float = 2.0

    def __post_init__(self) -> None:
        if not (0 <= self.sleep < float("inf") and 0 < self.timeout < float("inf") and self.retries >= 0):
            raise UsageError("sleep and retries must be at least 0, and the timeout more than 0")
        if not (self.most_bytes > 0 and self.most_hours > 0):
            raise UsageError("the most bytes and hours of a recording must be more than 0")
