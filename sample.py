"""Make sound with a trained network: `python sample.py --help`."""

from sequnet_pl.cli.entry_points import sequnet_sample

if __name__ == "__main__":
    sequnet_sample()
