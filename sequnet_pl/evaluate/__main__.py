"""`python -m sequnet_pl.evaluate --help`."""

import sys

from sequnet_pl.cli.main import run_main

if __name__ == "__main__":
    from sequnet_pl.cli.evaluate import evaluate

    sys.exit(run_main("evaluate", evaluate, sys.argv[1:]))
