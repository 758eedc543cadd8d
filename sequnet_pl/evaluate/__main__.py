"""`python -m sequnet_pl.evaluate --help`."""

import sys

from sequnet_pl.cli.main import exit_main

if __name__ == "__main__":
    from sequnet_pl.evaluate.run import evaluate

    exit_main("evaluate", evaluate, sys.argv[1:])
