"""train.py and sample.py: what can be said at once is said before torch, which takes seconds to load."""

import sys

from sequnet_pl.cli.help import TRAIN_HELP
from sequnet_pl.errors import UsageError


def train(argv: list[str]) -> int:
    """Train or score, or help."""
    if argv in ([], ["-h"], ["--help"]):
        sys.stdout.write(TRAIN_HELP)
        return 0 if argv else UsageError.exit_status
    if {"-h", "--help"} & set(argv):
        sys.stdout.write(TRAIN_HELP.rpartition("\n\n")[0] + "\n\nAll options, Lightning's among them:\n\n")
    from sequnet_pl.cli.train import train

    return train(argv)


def sample(argv: list[str]) -> None:
    """Make sound, or help; options that make no sense are told at once, too."""
    from sequnet_pl.cli.sample_options import parse

    options = parse(argv)
    from sequnet_pl.cli.sample import sample

    sample(options)
