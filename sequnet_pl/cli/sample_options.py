"""The options of sample.py, typed and checked before anything is loaded."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

from sequnet_pl import pretrained
from sequnet_pl.audio.mulaw import CLASSES
from sequnet_pl.cli.one_line import OneLineParser
from sequnet_pl.errors import UsageError
from sequnet_pl.names import CLASS_PATHS, EngineName, WeightType
from sequnet_pl.project import command, program

SECONDS = 2.0
ARCHITECTURE = (
    *("levels", "features", "depth", "kernel_size"),
    *("layers", "blocks", "dilation_channels", "residual_channels", "skip_channels"),
)


@dataclass(frozen=True)
class NetworkOptions:
    """Which network draws, and how; None where nothing was said. See `add_network` and `add_how`."""

    ckpt_path: str | None
    snapshot_dir: str | None
    log_dir: str
    model: str | None
    pretrained: str | None
    architecture: dict[str, int]
    gpus: int | None
    engine: EngineName
    weights: WeightType
    double: bool
    threads: int | None


@dataclass(frozen=True)
class Options(NetworkOptions):
    """What sample.py is asked for; None where nothing was said. See `_parser` for what each means."""

    conditional: bool
    prompt: list[str]
    prompt_start: float
    prompt_seconds: float
    audio_dir: str | None
    continue_clip: str | None
    gen_samples: int | None
    seconds: float | None
    batch_size: int
    num_batches: int
    first_clip: int
    temp: list[float]
    top_k: int
    top_p: float
    seed: int
    output_dir: str | None
    stdout: Literal["raw", "wav"] | None
    play: bool

    def samples(self, rate: int) -> int:
        """How many samples a clip to generate. UsageError for fewer than one."""
        if self.gen_samples is not None:
            return self.gen_samples
        seconds = SECONDS if self.seconds is None else self.seconds
        if (count := round(seconds * rate)) < 1:
            raise UsageError(f"--seconds {seconds:g} is less than one sample, 1/{rate} s")
        return count


def parse(argv: list[str]) -> Options:
    """The options of a command line. UsageError where one is unknown or makes no sense."""
    options = Options(**network_values(_parser().values(argv)))
    _check(options, {word.partition("=")[0] for word in argv})
    return options


def network_values(given: dict[str, Any]) -> dict[str, Any]:
    """Parsed values with those of `add_network` and `add_how` as the fields of NetworkOptions, `conditional` a bool."""
    given["architecture"] = {name: value for name in ARCHITECTURE if (value := given.pop(name)) is not None}
    given["conditional"] = given["conditional"] == 1
    if given.pop("cuda"):
        if given["gpus"] == 0:
            raise UsageError("--cuda and --gpus 0 contradict each other")
        given["gpus"] = 1
    return given


def check_least(options: NetworkOptions, least: dict[str, int]) -> None:
    """UsageError where an option is less than it must be, or there is more than one GPU."""
    for name, number in {**least, "threads": 1, "gpus": 0}.items():
        if (value := getattr(options, name)) is not None and value < number:
            raise UsageError(f"--{name} is {value}, but must be {number} or more")
    if options.gpus is not None and options.gpus > 1:
        raise UsageError(f"--gpus {options.gpus}, but sampling uses one GPU: --gpus 1, or --gpus 0 for the CPU")


def _check(options: Options, flags: set[str]) -> None:
    from sequnet_pl.sampling.draw import Drawing  # brings torch, which takes longer to load than help to read

    check_least(options, {"batch_size": 1, "num_batches": 1, "gen_samples": 1})
    for name in ("seed", "first_clip", "prompt_start"):
        if (value := getattr(options, name)) < 0:
            raise UsageError(f"--{name} is {value:g}, but must be 0 or more")
    for name in ("seconds", "prompt_seconds"):
        if (value := getattr(options, name)) is not None and not 0 < value < float("inf"):
            raise UsageError(f"--{name} is {value:g}, but must be more than 0")
    for temperature in options.temp:
        Drawing(temperature, options.top_k, options.top_p)
    together = (
        ("--seconds", "--gen_samples"),
        ("--prompt", "--conditional"),
        ("--pretrained", "--ckpt_path"),
        ("--pretrained", "--snapshot_dir"),
        ("--play", "--stdout"),
    )
    for one, other in together:
        if {one, other} <= flags:
            raise UsageError(f"{one} and {other} cannot be given together: keep one of them")
    if options.pretrained in CLASS_PATHS and options.model not in (None, options.pretrained):
        raise UsageError(f"--pretrained {options.pretrained} and --model {options.model} contradict each other")
    if options.audio_dir and not (options.conditional or options.continue_clip):
        raise UsageError("--audio_dir has no use without --conditional 1, which goes on from recordings")
    if options.continue_clip and (fixed := flags & _DECIDED_BY_THE_CLIP):
        raise UsageError(f"{min(fixed)} cannot be given with --continue: the clip was made with its own")
    clips = options.batch_size * options.num_batches * len(options.temp) * max(1, len(options.prompt))
    if (options.stdout or options.play) and clips > 1:
        raise UsageError(f"{'--play' if options.play else '--stdout'} takes one clip, but these options make {clips}")


_DECIDED_BY_THE_CLIP = {
    f"--{name}"
    for name in (
        *("conditional", "prompt", "prompt_start", "prompt_seconds", "audio_dir", "batch_size", "num_batches"),
        *("first_clip", "temp", "top_k", "top_p", "seed", "model", "pretrained", "double", "weights"),
    )
}


def _parser() -> OneLineParser:
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
