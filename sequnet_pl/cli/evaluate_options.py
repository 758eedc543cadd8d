"""The options of `python -m sequnet_pl.evaluate`, typed and checked before anything is loaded."""

from dataclasses import dataclass
from typing import Literal

from sequnet_pl.audio.files import SAMPLE_RATE
from sequnet_pl.audio.mulaw import CLASSES
from sequnet_pl.cli.one_line import OneLineParser
from sequnet_pl.cli.sample_options import NetworkOptions, check_least, network_values
from sequnet_pl.cli.sample_parser import SECONDS, add_how, add_network
from sequnet_pl.errors import UsageError
from sequnet_pl.evaluate.comparison import LEAST_CLIPS, RESAMPLES
from sequnet_pl.sampling.draw import Drawing

CLIPS = 64
OUT = "evaluation"


@dataclass(frozen=True)
class Options(NetworkOptions):
    """What is asked for; None where nothing was said. See `_add_clips` for what each means."""

    clips: int | None
    seconds: float
    conditional: bool
    temp: float
    top_k: int
    top_p: float
    batch_size: int
    seed: int
    clips_dir: str | None
    audio_dir: str | None
    sample_rate: int | None
    resamples: int
    output_dir: str | None

    @property
    def needs_checkpoint(self) -> bool:
        """Whether clips or recordings come from one."""
        return not (self.clips_dir and self.audio_dir)


_OF_GENERATION = {"--conditional", "--temp", "--top_k", "--top_p", "--batch_size", "--engine", "--weights", "--double"}
_OF_NETWORK = {"--ckpt_path", "--snapshot_dir", "--pretrained", "--model"}


def parse(argv: list[str]) -> Options:
    """The options of a command line. UsageError where one is unknown or makes no sense."""
    options = Options(**network_values(_parser().values(argv)))
    flags = {word.partition("=")[0] for word in argv}
    check_least(
        options, {"clips": LEAST_CLIPS, "batch_size": 1, "seed": 0, "sample_rate": 1, "resamples": 2, "threads": 1}
    )
    if not 0 < options.seconds < float("inf"):
        raise UsageError(f"--seconds is {options.seconds:g}, but must be more than 0")
    Drawing(options.temp, options.top_k, options.top_p)
    for other in ("--ckpt_path", "--snapshot_dir"):
        if {"--pretrained", other} <= flags:
            raise UsageError(f"--pretrained and {other} cannot be given together")
    if options.clips_dir and (fixed := flags & _OF_GENERATION):
        raise UsageError(f"{min(fixed)} cannot be given with --clips_dir: nothing is generated")
    if options.needs_checkpoint and options.sample_rate:
        raise UsageError("--sample_rate is the checkpoint's; give it with both --clips_dir and --audio_dir only")
    if not options.needs_checkpoint and (unused := flags & _OF_NETWORK):
        raise UsageError(f"{min(unused)} has no use where --clips_dir and --audio_dir give all sound")
    return options


def _parser() -> OneLineParser:
    parser = OneLineParser(
        prog="python -m sequnet_pl.evaluate",
        description="Set generated clips against held-out recordings: a table, numbers as JSON, a page with charts.",
        usage="python -m sequnet_pl.evaluate [options]",
    )
    add_network(parser)
    _add_clips(parser)
    add_how(parser)
    return parser


def _add_clips(parser: OneLineParser) -> None:
    what = parser.add_argument_group("What is compared")
    what.add_argument(
        "--clips",
        type=int | None,
        metavar="N",
        help=f"generated clips, and twice as many real ones ({CLIPS}, or all of --clips_dir)",
    )
    what.add_argument("--seconds", type=float, default=SECONDS, metavar="S", help=f"length of each ({SECONDS:g})")
    what.add_argument(
        "--conditional",
        type=Literal[0, 1],
        default=1,
        metavar="0|1",
        help="1: go on from held-out recordings, only what follows is compared; 0: start from silence (1)",
    )
    what.add_argument("--temp", type=float, default=1.0, metavar="T", help="temperature (1)")
    what.add_argument(
        "--top_k", type=int, default=CLASSES, metavar="K", help=f"draw from the K likeliest codes ({CLASSES})"
    )
    what.add_argument(
        "--top_p", type=float, default=1.0, metavar="P", help="draw from the likeliest codes of probability P (1)"
    )
    what.add_argument("--batch_size", type=int, default=16, metavar="N", help="clips made at once (16)")
    what.add_argument("--seed", type=int, default=0, metavar="N", help="of the clips, the noise and the bootstrap (0)")
    what.add_argument(
        "--clips_dir",
        type=str | None,
        metavar="DIR",
        help="clips that exist already, of any model, instead of generating; prompts of sample.py's are left out",
    )
    what.add_argument(
        "--audio_dir",
        type=str | None,
        metavar="DIR",
        help="the real recordings: test/ (else val/) in it, or all; without it the test split of the training's",
    )
    what.add_argument(
        "--sample_rate",
        type=int | None,
        metavar="HZ",
        help=f"with --clips_dir and --audio_dir, which need no checkpoint ({SAMPLE_RATE})",
    )
    what.add_argument("--resamples", type=int, default=RESAMPLES, metavar="N", help=f"of the bootstrap ({RESAMPLES})")
    what.add_argument(
        *("--output_dir", "--out"),
        type=str | None,
        metavar="DIR",
        help=f"folder of the result; an earlier one is replaced ({OUT}/ in the run, --clips_dir or generated/)",
    )
