"""`python -m sequnet_pl.models.published convert --help`."""

import sys

from sequnet_pl.cli.main import exit_main

if __name__ == "__main__":
    from sequnet_pl.cli.convert import convert

    exit_main("python -m sequnet_pl.models.published", convert, sys.argv[1:])
