"""The commands train and sample; what needs no torch, which takes seconds to import, is answered before it."""

import sys
from pathlib import Path
from typing import NoReturn

from sequnet_pl.cli.main import exit_main
from sequnet_pl.interrupts import loading
from sequnet_pl.printing import outlive_readers
from sequnet_pl.project import command, program

TRAIN_HELP = Path(__file__).with_name("train_help.txt")
"""The help of train.py, as its parser gives it for the name `COMMAND`; `make help-text` writes it."""


def sequnet_train() -> NoReturn:
    """Run the command sequnet-train, or train.py, and exit with its status."""
    outlive_readers()  # of the log of a run of days
    exit_main(program("train"), train, sys.argv[1:])


def sequnet_sample() -> NoReturn:
    """Run the command sequnet-sample, or sample.py, and exit with its status."""
    exit_main(program("sample"), sample, sys.argv[1:])


def train(argv: list[str]) -> int:
    """Train or score a network, or print help."""
    if argv in (["--help"], ["-h"]):
        print(TRAIN_HELP.read_text(encoding="utf-8").replace("COMMAND", command("train")), end="")  # noqa: T201
        return 0
    with loading(program("train")):
        from sequnet_pl.cli.train import train

    return train(argv)


def sample(argv: list[str]) -> None:
    """Generate audio, or print help; wrong options are reported before torch is imported."""
    with loading(program("sample")):
        from sequnet_pl.cli.sample_options import parse

        options = parse(argv)
        from sequnet_pl.sampling.jobs import sample

    sample(options)
