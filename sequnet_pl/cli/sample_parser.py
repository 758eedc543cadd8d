"""What sample.py may be asked for, on which network and device; parts of it are those of an evaluation."""

from typing import Literal, get_args

from sequnet_pl import pretrained
from sequnet_pl.audio.mulaw import CLASSES
from sequnet_pl.cli.one_line import OneLineParser
from sequnet_pl.names import CLASS_PATHS, EngineName, WeightType
from sequnet_pl.project import command, program

SECONDS = 2.0
ARCHITECTURE = (
    *("levels", "features", "depth", "kernel_size"),
    *("layers", "blocks", "dilation_channels", "residual_channels", "skip_channels"),
)


def sample_parser() -> OneLineParser:
    """Of sample.py; see `Options` for what it gives."""
    parser = OneLineParser(
        prog=program("sample"),
        description="Make sound with a trained network: wav files, their spectrograms, and a page to listen on.",
        usage=f"{command('sample')} [options]",
    )
    add_network(parser)
    _add_clips(parser)
    add_how(parser)
    return parser


def add_network(parser: OneLineParser) -> None:
    """Which network; the same for all commands that sample."""
    network = parser.add_argument_group("Which network (the newest last.ckpt under --log_dir where nothing is said)")
    network.add_argument(
        "--ckpt_path",
        type=str | None,
        metavar="PATH",
        help="a checkpoint, a published snapshot, or `last` or `best` of the newest run",
    )
    network.add_argument(
        "--snapshot_dir", type=str | None, metavar="DIR", help="the newest checkpoint or snapshot in a folder"
    )
    network.add_argument(
        "--log_dir", type=str, default="logs", metavar="DIR", help="the root of the run folders (logs)"
    )
    network.add_argument("--model", type=Literal[tuple(CLASS_PATHS)], metavar="NAME", help=" or ".join(CLASS_PATHS))
    network.add_argument(
        "--pretrained",
        type=Literal[(*pretrained.names(), *CLASS_PATHS)],
        metavar="NAME",
        help=f"{''.join(f'{name}, which comes with the package, or ' for name in pretrained.names())}"
        f"{' or '.join(CLASS_PATHS)}: the published weights, downloaded",
    )
    for name in ARCHITECTURE:
        network.add_argument(f"--{name}", type=int | None, metavar="N", help="checked against the checkpoint")


def _add_clips(parser: OneLineParser) -> None:
    start = parser.add_argument_group("What to go on from")
    start.add_argument(
        "--conditional",
        type=Literal[0, 1],
        default=0,
        metavar="0|1",
        help="1: recordings of the test split; 0: silence (0)",
    )
    start.add_argument(
        "--prompt", type=str, nargs="+", default=[], metavar="FILE", help="any audio files; several make a grid"
    )
    start.add_argument("--prompt_start", type=float, default=0.0, metavar="S", help="where in the file it begins (0)")
    start.add_argument(
        "--prompt_seconds",
        type=float,
        default=1.0,
        metavar="S",
        help="how much of a prompt is heard before the rest (1)",
    )
    start.add_argument(
        "--audio_dir", type=str | None, metavar="DIR", help="the recordings, where they are not those of the training"
    )
    start.add_argument(
        "--continue",
        dest="continue_clip",
        type=str | None,
        metavar="CLIP.wav",
        help="go on from a clip that was made here",
    )

    clips = parser.add_argument_group("What to make")
    clips.add_argument("--seconds", type=float | None, metavar="S", help=f"length of what is generated ({SECONDS:g})")
    clips.add_argument("--gen_samples", type=int | None, metavar="N", help="the same in samples")
    clips.add_argument("--batch_size", type=int, default=1, metavar="N", help="clips made at once (1)")
    clips.add_argument("--num_batches", type=int, default=1, metavar="N", help="batches one after the other (1)")
    clips.add_argument("--first_clip", type=int, default=0, metavar="N", help="number of the first clip, for more (0)")
    clips.add_argument(
        "--temp",
        type=float,
        nargs="+",
        default=[1.0],
        metavar="T",
        help="temperatures; 0: always the likeliest code (1)",
    )
    clips.add_argument(
        "--top_k", type=int, default=CLASSES, metavar="K", help=f"draw from the K likeliest codes ({CLASSES})"
    )
    clips.add_argument(
        "--top_p", type=float, default=1.0, metavar="P", help="draw from the likeliest codes of probability P (1)"
    )
    clips.add_argument("--seed", type=int, default=0, metavar="N", help="of the random numbers (0)")

    to = parser.add_argument_group("Where to")
    to.add_argument(
        "--output_dir",
        type=str | None,
        metavar="DIR",
        help="folder of the clips and their page (generated); a clip's .state is for --continue",
    )
    to.add_argument(
        "--stdout",
        nargs="?",
        const="wav",
        type=Literal["raw", "wav"],
        metavar="raw|wav",
        help="stream to a pipe; no files unless --output_dir is given",
    )
    to.add_argument("--play", action="store_true", help="stream to the sound device; likewise")


def add_how(parser: OneLineParser) -> None:
    """On which device, and with which engine; the same for all commands that sample."""
    how = parser.add_argument_group("How")
    how.add_argument("--gpus", type=int | None, metavar="N", help="1, or 0 for the CPU (1 if there is one)")
    how.add_argument("--cuda", action="store_true", help="the same as --gpus 1")
    how.add_argument(
        "--engine",
        type=EngineName,
        default="auto",
        metavar="NAME",
        help=f"how steps are computed: {', '.join(get_args(EngineName))} (auto)",
    )
    how.add_argument(
        "--weights", type=WeightType, default="float32", metavar="TYPE", help="float32, bf16 or int8 (float32)"
    )
    how.add_argument(
        "--double", action="store_true", help="in float64: the same codes at any batch size, but many times slower"
    )
    how.add_argument("--threads", type=int | None, metavar="N", help="CPU threads")
