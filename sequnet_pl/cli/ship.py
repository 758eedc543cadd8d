"""`python -m sequnet_pl.pretrained`: of a checkpoint, a network to give to others."""

import logging
from pathlib import Path

from sequnet_pl.cli.parsing import Parser
from sequnet_pl.project import command
from sequnet_pl.training.shipping import write_shipped
from sequnet_pl.training.trained import newest_checkpoint

log = logging.getLogger(__name__)


def ship(argv: list[str]) -> None:
    """The whole of the command; what is not the user's to mend is raised."""
    parser = Parser(
        prog="python -m sequnet_pl.pretrained",
        description="Turn a checkpoint into a network to give to others: its weights in bfloat16 (averaged ones where "
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
    log.info("%s: %.2f MB; hear it with: %s", weights, size, command("sample", *named))
    if not scored:
        log.info("for a score in its card: %s, and then this again", command("train", "test", *named))
