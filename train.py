"""Train and score the networks: `python train.py --help`."""

import sys

from sequnet_pl.cli.commands import sequnet_train

if __name__ == "__main__":
    sys.exit(sequnet_train())
