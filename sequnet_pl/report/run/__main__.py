"""`python -m sequnet_pl.report.run FOLDER`: make a run's report again."""

import argparse
import sys
from pathlib import Path

from sequnet_pl.cli.main import exit_main
from sequnet_pl.report.run import write_report


def main(argv: list[str]) -> int:
    """The command line of this package."""
    parser = argparse.ArgumentParser(prog="python -m sequnet_pl.report.run", description="Make a run's report again.")
    parser.add_argument("folder", type=Path, help="the run folder, as in logs/sequnet/NAME")
    sys.stdout.write(f"{write_report(parser.parse_args(argv).folder)}\n")
    return 0


if __name__ == "__main__":
    exit_main("sequnet_pl.report.run", main, sys.argv[1:])
