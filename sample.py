"""Make sound with a trained network: `python sample.py --help`."""

import sys

from sequnet_pl.cli.main import loading, run_main

if __name__ == "__main__":
    with loading("sample.py"):
        from sequnet_pl.cli.sample import sample

    sys.exit(run_main("sample.py", sample, sys.argv[1:]))
