"""Make sound with a trained network: `python sample.py --help`."""

import sys

from sequnet_pl.cli.commands import sequnet_sample

if __name__ == "__main__":
    sys.exit(sequnet_sample())
