"""`python -m sequnet_pl.pretrained --help`."""

import sys

from sequnet_pl.cli.main import run_main

if __name__ == "__main__":
    from sequnet_pl.cli.ship import ship

    sys.exit(run_main("python -m sequnet_pl.pretrained", ship, sys.argv[1:]))
