"""`python -m sequnet_pl.pretrained`: export a checkpoint as a small network with a card."""

import logging
import sys
from pathlib import Path

from sequnet_pl.cli.main import exit_main
from sequnet_pl.cli.parsing import Parser
from sequnet_pl.project import command
from sequnet_pl.training.shipping import write_shipped
from sequnet_pl.training.trained import newest_checkpoint

log = logging.getLogger(__name__)


def export(argv: list[str]) -> None:
    """Run the command. UserError where the checkpoint cannot be read or the folder not be written."""
    parser = Parser(
        prog="python -m sequnet_pl.pretrained",
        description="Export a checkpoint: its weights in bfloat16 (averaged ones where "
        "there are any) and a card. In sequnet_pl/pretrained/NAME it is what sample.py --pretrained NAME takes.",
    )
    parser.add_argument("checkpoint", type=str, help="a checkpoint, or a folder of them or of a run (the newest)")
    parser.add_argument("folder", type=str, metavar="FOLDER", help="the folder to write; its name is the network's")
    parser.add_argument("--log_dir", type=str, default="logs", metavar="DIR", help="the root of the run folders (logs)")
    options = parser.values(argv)
    logging.getLogger("sequnet_pl").setLevel(logging.INFO)
    checkpoint, folder = newest_checkpoint(Path(options.checkpoint)), Path(options.folder)
    weights, scored = write_shipped(checkpoint, folder, Path(options.log_dir))
    size, named = weights.stat().st_size / 1e6, ("--ckpt_path", weights)
    log.info("%s: %.2f MB; listen to it with: %s", weights, size, command("sample", *named))
    if not scored:
        log.info("for a score in its card: %s, then repeat this command", command("train", "test", *named))


if __name__ == "__main__":
    exit_main("python -m sequnet_pl.pretrained", export, sys.argv[1:])
