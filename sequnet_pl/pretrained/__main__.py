"""`python -m sequnet_pl.pretrained --help`."""

import sys

from sequnet_pl.cli.main import exit_main

if __name__ == "__main__":
    from sequnet_pl.cli.ship import ship

    exit_main("python -m sequnet_pl.pretrained", ship, sys.argv[1:])
