"""The options of sample.py, typed and checked before anything is loaded."""

from dataclasses import dataclass
from typing import Any, Literal

from sequnet_pl.cli.sample_parser import ARCHITECTURE, SECONDS, sample_parser
from sequnet_pl.errors import UsageError
from sequnet_pl.names import CLASS_PATHS, EngineName, WeightType


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
    """What sample.py is asked for; None where nothing was said. See `sample_parser` for what each means."""

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
    options = Options(**network_values(sample_parser().values(argv)))
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
