"""Train and score the networks: `python train.py --help`."""

import sys

from sequnet_pl.cli.commands import train
from sequnet_pl.cli.main import run_main

if __name__ == "__main__":
    sys.exit(run_main("train.py", train, sys.argv[1:]))
