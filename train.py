"""Train and score the networks: `python train.py --help`."""

import sys

from sequnet_pl.cli.main import loading, run_main

if __name__ == "__main__":
    with loading("train.py"):
        from sequnet_pl.cli.train import train

    sys.exit(run_main("train.py", train, sys.argv[1:]))
