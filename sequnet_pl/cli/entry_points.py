"""train.py and sample.py, installed or not: what can be said at once is said before torch, which loads for seconds."""

import sys
from typing import NoReturn

from sequnet_pl.cli.main import exit_main
from sequnet_pl.interrupts import loading
from sequnet_pl.project import program


def sequnet_train() -> NoReturn:
    """The command sequnet-train, and train.py; exits with the status."""
    exit_main(program("train"), train, sys.argv[1:])


def sequnet_sample() -> NoReturn:
    """The command sequnet-sample, and sample.py; exits with the status."""
    exit_main(program("sample"), sample, sys.argv[1:])


def train(argv: list[str]) -> int:
    """Train or score, or help."""
    with loading(program("train")):
        from sequnet_pl.cli.train import train

    return train(argv)


def sample(argv: list[str]) -> None:
    """Make sound, or help; options that make no sense are told at once, too."""
    with loading(program("sample")):
        from sequnet_pl.cli.sample_options import parse

        options = parse(argv)
        from sequnet_pl.cli.sample import sample

    sample(options)
