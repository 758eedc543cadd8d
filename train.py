"""Train and score the networks: `python train.py --help`."""

from sequnet_pl.cli.commands import sequnet_train

if __name__ == "__main__":
    sequnet_train()
