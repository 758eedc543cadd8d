"""What never ends is refused: radio of any kind, and pages that go on for ever."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from yt_dlp import YoutubeDL
from yt_dlp.networking import Response

from sequnet_pl.data.download.options import Options
from sequnet_pl.data.download.reasons import Refused
from sequnet_pl.data.download.report import Status

_BYTES_A_SECOND = 5e6  # more than any recording has, so that one with a duration ends too
_PAGE_BYTES = 1 << 26
_PAGE_SECONDS = 300.0
_PIECE = 1 << 10  # small, since reading waits until so much is there


@dataclass(frozen=True)
class Bound:
    """How far a download may go that does not say how long it is; it begins now."""

    most_bytes: float
    most_hours: float
    began: float = field(default_factory=time.monotonic)

    def check(self, state: dict[str, Any]) -> None:
        """Raise Refused where yt-dlp's progress is beyond it, unless the server has told the length."""
        if state.get("total_bytes") or state.get("fragment_count"):
            return
        hours = (time.monotonic() - self.began) / 3600
        if (state.get("downloaded_bytes") or 0) > self.most_bytes or hours > self.most_hours:
            within = f"{self.most_bytes / 1e9:g} GB"
            if math.isfinite(self.most_hours):
                within += f" or {self.most_hours:g} hours"
            reason = f"it does not tell its length and has not ended within {within} (--max-gb, --max-hours)"
            raise Refused(Status.UNAVAILABLE, f"{reason}; radio never ends")


def bound(info: Mapping[str, Any], options: Options) -> Bound:
    """The bound of a download, by what its site tells of it."""
    if size := info.get("filesize"):
        return Bound(max(options.most_bytes, 2 * size), math.inf)
    if duration := info.get("duration"):
        return Bound(max(options.most_bytes, duration * _BYTES_A_SECOND), math.inf)
    return Bound(options.most_bytes, options.most_hours)


class FinitePages(YoutubeDL):
    """yt-dlp, which reads a page to its end before it looks at it, however long that takes."""

    def urlopen(self, req: Any) -> Response:
        """See YoutubeDL. Reading all of what comes raises Refused where that does not end."""
        response: Response = super().urlopen(req)
        some = response.read
        response.read = lambda amt=None: _page(some) if amt is None else some(amt)  # type: ignore[method-assign]
        return response


def _page(some: Callable[[int], bytes]) -> bytes:
    page, began = bytearray(), time.monotonic()
    while piece := some(_PIECE):
        page += piece
        if len(page) > _PAGE_BYTES or time.monotonic() - began > _PAGE_SECONDS:
            raise Refused(Status.UNAVAILABLE, "it is a page without an end, or a radio that calls itself one")
    return bytes(page)
