"""One recording after the other: politely, never stopped by one of them, each result written down at once."""

import random
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from sequnet_pl.data.download.fetch import Fetcher
from sequnet_pl.data.download.items import Item
from sequnet_pl.data.download.options import Options
from sequnet_pl.data.download.progress import DownloadProgress
from sequnet_pl.data.download.reasons import Outcome, classify
from sequnet_pl.data.download.report import Entry, Report, Status
from sequnet_pl.errors import UserError

_IN_A_ROW = 3  # failures of one server, after which it is left alone


def fetch_all(items: Sequence[Item], folder: Path, report: Report, options: Options, console: Console) -> str:
    """Fetch the items in turn and record each; gives why it stopped before the last, empty where it did not.

    Raises UserError where the cookies cannot be read or nothing can be written. After a KeyboardInterrupt what was
    finished is recorded, and the rest of what was not is fetched the next time.
    """
    progress = DownloadProgress(console, len(items))
    with Fetcher(folder, options, progress.bytes) as fetcher:
        if any(item.youtube for item in items) and (advice := fetcher.advice()):
            console.print(advice, markup=False, highlight=False, soft_wrap=True)
        failures: Counter[str] = Counter()  # in a row, of each server
        given_up: dict[str, Outcome] = {}
        with progress:
            for number, item in enumerate(items):
                progress.begin(item)
                file, tried = None, item.host not in given_up
                if tried:
                    if number:
                        time.sleep(random.uniform(options.sleep, 2 * options.sleep))
                    file, outcome = _fetch(item, fetcher)
                    lost = outcome.status in (Status.NETWORK, Status.BOT_CHECK)
                    failures[item.host] = failures[item.host] + 1 if lost else 0
                    if failures[item.host] == _IN_A_ROW:
                        why = f"not tried, as {item.host} failed {_IN_A_ROW} times in a row"
                        given_up[item.host] = Outcome(outcome.status, why)
                else:
                    outcome = given_up[item.host]
                entry = _entry(item, outcome, folder, file, tried)
                report.record({item: entry})
                progress.end(item, entry)
                if outcome.status is Status.RATE_LIMITED:
                    until = f", until {outcome.until.astimezone():%Y-%m-%d %H:%M}" if outcome.until else ""
                    return f"{item.host} limits how much it gives{until}"
                if outcome.status is Status.NO_SPACE:
                    return f"there is no space left for {folder}"
    return ""


def _fetch(item: Item, fetcher: Fetcher) -> tuple[Path | None, Outcome]:
    try:
        return fetcher.fetch(item), Outcome(Status.OK)
    except Exception as error:  # yt-dlp knows a thousand sites, and one that has changed may raise anything
        outcome = classify(error, item.youtube)
        if isinstance(error, UserError) and outcome.status is not Status.NO_SPACE:
            raise
    if not outcome.heals:
        fetcher.forget(item)
    return None, outcome


def _entry(item: Item, outcome: Outcome, folder: Path, file: Path | None, tried: bool) -> Entry:
    return Entry(
        recording=item.recording,
        split=item.split,
        status=outcome.status,
        reason=outcome.reason,
        file=file.relative_to(folder).as_posix() if file else "",
        time=_iso(datetime.now(UTC)) if tried else "",
        until=_iso(outcome.until) if outcome.until else "",
    )


def _iso(time: datetime) -> str:
    return time.isoformat(" ", timespec="seconds")
