"""Download recordings: `python -m sequnet_pl.data.download`, of the published experiment or of a list of one's own."""

import argparse
import sys
from pathlib import Path

from rich.console import Console

from sequnet_pl.cli.main import exit_main
from sequnet_pl.data.download import PIANO_HOURS, PIANO_RECORDINGS, announcement, download, plan
from sequnet_pl.data.download.items import PIANO_LIST, SPLITS, read_list, select
from sequnet_pl.data.download.options import Options
from sequnet_pl.data.download.report import REPORT, Report

PROGRAM = "python -m sequnet_pl.data.download"

_INTERRUPTED = 130
_RADIO = "what does not say how long it is"


def main(arguments: list[str]) -> int:
    """Run the command; gives the exit status: 0, 1 where nothing usable came or a server's limit struck, or 130.

    Raises UserError where nothing can be read or written.
    """
    console = Console(stderr=True, soft_wrap=True)
    options = _parser().parse_args(arguments)
    try:
        return _run(options, console)
    except KeyboardInterrupt:
        text = f"Interrupted: what came is kept in {options.output}; the same command goes on from here."
        console.print(text, markup=False, highlight=False)
        return _INTERRUPTED


def _run(options: argparse.Namespace, console: Console) -> int:
    items = select(read_list(options.list), options.split, options.limit)
    hours = PIANO_HOURS / PIANO_RECORDINGS if options.list == PIANO_LIST else None
    how = Options(
        sleep=options.sleep,
        cookies=options.cookies,
        retry_failed=options.retry_failed,
        most_bytes=options.max_gb * 1e9,
        most_hours=options.max_hours,
    )
    if not options.dry_run:
        return download(items, options.output, how, console, hours).exit_status
    planned = plan(items, options.output, Report(options.output), how)
    listing = Console(soft_wrap=True)
    for item in items:
        settled = planned.settled.get(item)
        what = "there" if item in planned.present else f"left out: {settled.status.value}" if settled else "to fetch"
        listing.print(f"{item.split or '-'} {item.recording} {what}", markup=False, highlight=False)
    console.print(announcement(planned, options.output, hours), markup=False, highlight=False)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Download recordings. Their rights are their owners': keep what you download to yourself.",
        epilog=f"Each recording's end is in {REPORT} in the folder; the same command again goes on and mends.",
    )
    add = parser.add_argument
    add("--list", type=Path, default=PIANO_LIST, metavar="FILE", help="csv with split and video_id or url, or a text")
    add("--output", type=Path, default=Path("data/recordings"), metavar="DIR", help="folder [%(default)s]")
    add("--split", choices=SPLITS, help="this split only")
    add("--limit", type=int, metavar="N", help="the first N recordings of the list only")
    add("--cookies", type=Path, metavar="FILE", help="cookies of a browser, in Netscape's format")
    add("--sleep", type=float, default=Options.sleep, metavar="S", help="least pause between two, s [%(default)s]")
    add("--max-gb", type=float, default=Options.most_bytes / 1e9, metavar="GB", help=f"most of {_RADIO} [%(default)g]")
    add("--max-hours", type=float, default=Options.most_hours, metavar="H", help=f"longest for {_RADIO} [%(default)g]")
    add("--retry-failed", action="store_true", help="also try again what failed for good or was deleted")
    add("--dry-run", action="store_true", help="say what would be done, and ask no server")
    return parser


if __name__ == "__main__":
    exit_main(PROGRAM, main, sys.argv[1:])
