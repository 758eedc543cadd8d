"""Make sound with a trained network: `python sample.py --help`."""

import sys

from sequnet_pl.cli.commands import sample
from sequnet_pl.cli.main import run_main

if __name__ == "__main__":
    sys.exit(run_main("sample.py", sample, sys.argv[1:]))
