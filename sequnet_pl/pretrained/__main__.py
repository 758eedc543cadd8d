"""`python -m sequnet_pl.pretrained`: export a checkpoint as a small network with a card."""

import logging
import sys
from pathlib import Path

from sequnet_pl.cli.main import exit_main
from sequnet_pl.cli.parsing import Parser
from sequnet_pl.pretrained.excerpts import write_excerpts
from sequnet_pl.project import command
from sequnet_pl.sampling.load import held_out_excerpts
from sequnet_pl.training.export import write_export
from sequnet_pl.training.trained import load_trained, newest_checkpoint

log = logging.getLogger("sequnet_pl.pretrained")  # __name__ is __main__


def export(argv: list[str]) -> None:
    """Run the command. UserError where the checkpoint cannot be read or the folder not be written."""
    parser = Parser(
        prog="python -m sequnet_pl.pretrained",
        description="Export a checkpoint: its weights in bfloat16 (averaged ones where "
        "there are any) and a card. sample.py --pretrained NAME reads it from sequnet_pl/pretrained/NAME.",
    )
    parser.add_argument(
        "checkpoint", type=str, help="a checkpoint, or the newest in a folder of checkpoints or of a run"
    )
    parser.add_argument("folder", type=str, metavar="FOLDER", help="the folder to write; its name is the network's")
    parser.option("--log_dir", type=str, default="logs", metavar="DIR", help="the root of the run folders (logs)")
    parser.option(
        "--excerpts",
        action="store_true",
        help="also write excerpts of held-out recordings for sample.py --pretrained to continue; they are copies of "
        "the recordings: distribute them only if you may",
    )
    options = parser.values(argv)
    logging.getLogger("sequnet_pl").setLevel(logging.INFO)
    checkpoint, folder = newest_checkpoint(Path(options.checkpoint)), Path(options.folder)
    if options.excerpts:
        written = write_excerpts(folder, held_out_excerpts(load_trained(checkpoint)))
        log.info("%s: excerpts of held-out recordings", written)
    weights, scored = write_export(checkpoint, folder, Path(options.log_dir))
    size, named = weights.stat().st_size / 1e6, ("--ckpt_path", weights)
    log.info("%s: %.2f MB; sample it with: %s", weights, size, command("sample", *named))
    if not scored:
        log.info("for a score in its card: %s, then repeat this command", command("train", "test", *named))


if __name__ == "__main__":
    exit_main("python -m sequnet_pl.pretrained", export, sys.argv[1:])
