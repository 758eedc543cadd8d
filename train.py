"""Train and score the networks: `python train.py --help`."""

from sequnet_pl.cli.entry_points import sequnet_train

if __name__ == "__main__":
    sequnet_train()
