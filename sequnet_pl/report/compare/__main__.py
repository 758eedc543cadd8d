"""`python -m sequnet_pl.report.compare RUN RUN...`: make one page of many runs."""

import argparse
import os
import sys
from pathlib import Path

from sequnet_pl.cli.main import exit_main
from sequnet_pl.report.compare import PAGE, find_runs, write_comparison


def main(argv: list[str]) -> int:
    """The command line of this package."""
    parser = argparse.ArgumentParser(
        prog="python -m sequnet_pl.report.compare", description="Make one page of many runs."
    )
    parser.add_argument("runs", nargs="+", type=Path, help="run folders, or folders that hold some, as logs/sequnet")
    parser.add_argument("--out", type=Path, help=f"the page ({PAGE} in the folder that holds all of them)")
    options = parser.parse_args(argv)
    folders = find_runs(options.runs)
    path = options.out or Path(os.path.commonpath(_parents(options.runs, folders))) / PAGE
    write_comparison(path, folders)
    sys.stdout.write(f"{path}\n")
    return 0


def _parents(given: list[Path], runs: list[Path]) -> list[Path]:
    """Return the folders that the command names, and the parents of the runs that it names."""
    named = {run.resolve() for run in runs}
    return [path.resolve().parent if path.resolve() in named else path.resolve() for path in given]


if __name__ == "__main__":
    exit_main("sequnet_pl.report.compare", main, sys.argv[1:])
