"""`python -m sequnet_pl.models.published convert`: convert a published snapshot to a checkpoint."""

import logging
import sys
from pathlib import Path

from sequnet_pl.cli.main import exit_main
from sequnet_pl.cli.parsing import Parser
from sequnet_pl.errors import UsageError
from sequnet_pl.project import command
from sequnet_pl.training.snapshots import convert_snapshot
from sequnet_pl.training.trained import PUBLISHED_LAYERS, newest_checkpoint

log = logging.getLogger("sequnet_pl.models.published")  # __name__ is __main__


def convert(argv: list[str]) -> None:
    """Run the command. UserError where the snapshot cannot be read or the checkpoint not be written."""
    parser = Parser(
        prog="python -m sequnet_pl.models.published convert",
        description="Convert a snapshot of the published implementation to a checkpoint to train, test and sample.",
    )
    parser.add_argument("snapshot", type=str, help="a file checkpoint_<step>, or a folder of them (the newest)")
    parser.add_argument("out", type=str, metavar="OUT.ckpt", help="the checkpoint to write")
    parser.add_argument("--layers", type=int, default=PUBLISHED_LAYERS, help="layers per block of a WaveNet")
    if argv[:1] != ["convert"] and not {"-h", "--help"} & set(argv):
        raise UsageError("the only command is convert: convert SNAPSHOT OUT.ckpt [--layers N]")
    options = parser.values(argv[argv[:1] == ["convert"] :])
    out = Path(options.out)
    if out.suffix != ".ckpt":
        raise UsageError(f"the name of a checkpoint ends in .ckpt, not as in {out}")
    logging.getLogger("sequnet_pl").setLevel(logging.INFO)
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)  # a trainer is made only to write the file
    step = convert_snapshot(newest_checkpoint(Path(options.snapshot)), out, options.layers)
    log.info("%s: step %d; resume with: %s", out, step, command("train", "--ckpt_path", out))


if __name__ == "__main__":
    exit_main("python -m sequnet_pl.models.published", convert, sys.argv[1:])
