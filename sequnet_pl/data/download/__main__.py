"""Download recordings, of the published experiment or of another list: `python -m sequnet_pl.data.download`."""

import argparse
import sys
from pathlib import Path

from rich.console import Console

from sequnet_pl.cli.main import exit_main
from sequnet_pl.data.download import REPORT, Options, download, plan, read_report
from sequnet_pl.data.download.items import PIANO_LIST, read_list
from sequnet_pl.errors import UsageError

PROGRAM = "python -m sequnet_pl.data.download"
_PIANO_GB = 33 / 277  # of a published recording


def main(arguments: list[str]) -> int:
    """Run the command; returns 0, or 1 where the run stopped early or nothing usable is present.

    Raises UserError where nothing can be read or written.
    """
    given = _parser().parse_args(arguments)
    if given.limit is not None and given.limit < 1:
        raise UsageError("--limit must be at least 1")
    items = read_list(given.list)[: given.limit]
    options = Options(given.sleep, cookies=given.cookies, max_bytes=given.max_gb * 1e9, max_hours=given.max_hours)
    if not given.dry_run:
        result = download(items, given.output, options)
        return 1 if result.stopped or not result.files else 0
    done = plan(items, given.output, read_report(given.output))
    for item in items:
        status = done[item].status if item in done else "to fetch"
        Console().out(item.split or "-", item.recording, status, highlight=False)
    missing = len(items) - len(done)
    size = f", some {missing * _PIANO_GB:.1f} GB" if given.list == PIANO_LIST else ""
    Console(stderr=True).out(f"Recordings to fetch into {given.output}: {missing}{size}", highlight=False)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Download recordings. They belong to their owners: do not publish what you download.",
        epilog=f"{REPORT} in the folder has the status of each recording. The same command resumes and retries. "
        "To retry a recording that is no longer available, delete its row.",
    )
    add = parser.add_argument
    gigabytes = Options.max_bytes / 1e9
    add("--list", type=Path, default=PIANO_LIST, metavar="FILE", help="csv with split and video_id or url, or a list")
    add("--output", type=Path, default=Path("data/recordings"), metavar="DIR", help="their folder [%(default)s]")
    add("--limit", type=int, metavar="N", help="only the first N recordings of the list")
    add("--cookies", type=Path, metavar="FILE", help="cookies of a browser, in Netscape's format")
    add("--sleep", type=float, default=Options.sleep, metavar="S", help="seconds before each download [%(default)s]")
    add("--max-gb", type=float, default=gigabytes, metavar="GB", help="size limit of one file [%(default)g]")
    add("--max-hours", type=float, default=Options.max_hours, metavar="H", help="length limit of one [%(default)g]")
    add("--dry-run", action="store_true", help="list the status of each recording without contacting a server")
    return parser


if __name__ == "__main__":
    exit_main(PROGRAM, main, sys.argv[1:])
