"""The options of sample.py."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sequnet_pl.audio.mulaw import CLASSES
from sequnet_pl.cli.parsing import Parser
from sequnet_pl.errors import UsageError
from sequnet_pl.limits import ClosedUnitInterval, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from sequnet_pl.names import EngineName, WeightType
from sequnet_pl.project import command, program

SECONDS = 2.0
_SHAPE = ("levels", "features", "depth", "layers")


@dataclass(frozen=True, kw_only=True)
class NetworkOptions:
    """Which network is sampled (by default the newest last.ckpt under --log_dir), and how.

    Args:
        ckpt_path: A checkpoint, a published snapshot, or `last` or `best` of the newest run, which is the default.
        snapshot_dir: A folder, of which the newest checkpoint or snapshot is used.
        log_dir: The root of the run folders.
        model: The network: a name, or the path of a class outside the package, which is imported.
        pretrained: A bundled network (piano), or sequnet or wavenet: the published weights, downloaded.
        levels: Compared with the checkpoint's; commands of the published code have this option.
        features: Likewise compared.
        depth: Likewise compared.
        layers: Layers of each block of a published WaveNet, which its weights do not contain (default: 13).
        gpus: 1, or 0 for the CPU; by default 1 if there is a GPU.
        cuda: The same as --gpus 1.
        engine: How steps are computed: auto, eager, native (CPU), graphs or cuda (GPU).
        weights: How engines store weights: float32, bf16 or int8.
        double: Compute in float64: the same codes at any batch size, but many times slower.
        threads: CPU threads.
    """

    ckpt_path: str | None = None
    snapshot_dir: str | None = None
    log_dir: str = "logs"
    model: str | None = None
    pretrained: str | None = None
    levels: int | None = None
    features: int | None = None
    depth: int | None = None
    layers: int | None = None
    gpus: Literal[0, 1] | None = None
    cuda: bool = False
    engine: EngineName = "auto"
    weights: WeightType = "float32"
    double: bool = False
    threads: PositiveInt | None = None

    @property
    def device(self) -> int | None:
        """Number of GPUs: 0 or 1, None if no option gives it."""
        return 1 if self.cuda else self.gpus

    @property
    def shape(self) -> dict[str, int]:
        """The given arguments of the network."""
        return {name: value for name in _SHAPE if (value := getattr(self, name)) is not None}

    def __post_init__(self) -> None:
        if self.cuda and self.gpus == 0:
            raise UsageError("--cuda and --gpus 0 contradict each other")
        exclusive(self, ("pretrained", "ckpt_path"), ("pretrained", "snapshot_dir"), ("ckpt_path", "snapshot_dir"))


@dataclass(frozen=True, kw_only=True)
class Options(NetworkOptions):
    """Make sound with a trained network: wav files, their spectrograms, and a page to listen on.

    Args:
        label: One or more labels of a network that was trained with labels, or `all`; none by default.
        conditional: 1: continue recordings of the test split, or the excerpts of a bundled network; 0: from silence.
        prompt: Any audio files to continue; several make a grid.
        prompt_start: Start of the prompt in its file, in seconds.
        prompt_seconds: Length of the prompt, in seconds.
        audio_dir: Recordings to continue, if not those of the training or the bundled excerpts.
        continue_clip: A clip made by sample.py to make longer, finished or cut short.
        seconds: Length of the generated sound, in seconds (default: 2).
        gen_samples: The same length in samples.
        batch_size: Clips made at once.
        num_batches: Number of batches.
        first_clip: Number of the first clip, to make more clips after earlier ones.
        lead_in: From silence: longest silence to cut before the first sound, in seconds; below 0.02 nothing.
        temp: One or more temperatures; 0 always takes the likeliest code.
        top_k: Draw from the K likeliest codes.
        top_p: Draw from the likeliest codes whose probabilities sum to P.
        seed: Seed of the random numbers.
        output_dir: Folder of the clips and their page (a new one below generated/).
        stdout: Stream to a pipe, as `raw` or `wav`; no files unless --output_dir is given.
        play: Stream to the sound device; no files unless --output_dir is given.
    """

    label: list[str] = ()  # type: ignore[assignment]
    conditional: Literal[0, 1] | None = None
    prompt: list[str] = ()  # type: ignore[assignment]
    prompt_start: NonNegativeFloat = 0.0
    prompt_seconds: PositiveFloat = 1.0
    audio_dir: str | None = None
    continue_clip: str | None = None
    seconds: PositiveFloat | None = None
    gen_samples: PositiveInt | None = None
    batch_size: PositiveInt = 1
    num_batches: PositiveInt = 1
    first_clip: NonNegativeInt = 0
    lead_in: NonNegativeFloat = 10.0
    temp: list[NonNegativeFloat] = (1.0,)  # type: ignore[assignment]
    top_k: PositiveInt = CLASSES
    top_p: ClosedUnitInterval = 1.0
    seed: NonNegativeInt = 0
    output_dir: str | None = None
    stdout: bool | Literal["raw", "wav"] = False
    play: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        exclusive(self, ("seconds", "gen_samples"), ("prompt", "conditional"), ("play", "stdout"))
        if self.top_k > CLASSES or not self.top_p:
            raise UsageError(f"top_k is {self.top_k} and top_p {self.top_p:g}, but they must be 1 to 256 and above 0")
        if self.continue_clip and (fixed := given(self, *_OF_A_CLIP)):
            raise UsageError(f"--{fixed} cannot be given with --continue: the clip was made with its own")
        continues = self.conditional or (self.pretrained and self.conditional is None and not self.prompt)
        if self.audio_dir and not (continues or self.continue_clip):
            raise UsageError("--audio_dir has no use without --conditional 1, which continues recordings")
        if (self.stdout or self.play) and (self.clips > 1 or "all" in self.label):
            made = "several" if "all" in self.label else self.clips
            raise UsageError(f"{'--play' if self.play else '--stdout'} takes one clip, but these options make {made}")

    @property
    def clips(self) -> int:
        """Number of clips that are made."""
        per_prompt = self.batch_size * self.num_batches * len(self.temp) * max(1, len(self.label))
        return per_prompt * max(1, len(self.prompt))


def given(options: Any, *names: str) -> str | None:
    """Return the first of these options that differs from its default."""
    fields = type(options).__dataclass_fields__
    for name in names:
        value = getattr(options, name)
        if (tuple(value) if isinstance(value, list) else value) != fields[name].default:
            return name
    return None


def exclusive(options: Any, *pairs: tuple[str, str]) -> None:
    """Raise UsageError where both of a pair are given."""
    for one, other in pairs:
        if given(options, one) and given(options, other):
            raise UsageError(f"--{one} and --{other} cannot be given together: keep one of them")


_OF_A_CLIP = (
    *("label", "conditional", "prompt", "prompt_start", "prompt_seconds", "audio_dir", "batch_size", "num_batches"),
    *("first_clip", "lead_in", "temp", "top_k", "top_p", "seed", "pretrained", "double", "weights"),
)
"""Options that a clip which is continued has set already."""


def parse(argv: Sequence[str]) -> Options:
    """Return the options of a command line. UsageError where one is unknown or not valid."""
    description = str(Options.__doc__).partition("\n")[0]
    parser = Parser(prog=program("sample"), usage=f"{command('sample')} [options]", description=description)
    parser.signature("", Options, {"continue_clip": "continue"})
    return Options(**parser.values(argv))
