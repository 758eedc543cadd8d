"""The options of `python -m sequnet_pl.evaluate`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sequnet_pl.audio.mulaw import CLASSES
from sequnet_pl.cli.parsing import Parser
from sequnet_pl.cli.sample_options import SECONDS, NetworkOptions, given
from sequnet_pl.errors import UsageError
from sequnet_pl.evaluate.comparison import LEAST_CLIPS, RESAMPLES
from sequnet_pl.limits import ClosedUnitInterval, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

CLIPS = 64
OUT = "evaluation"


@dataclass(frozen=True, kw_only=True)
class Options(NetworkOptions):
    """Compare generated clips with held-out recordings: a table, numbers as JSON, a page with charts.

    Args:
        clips: Number of generated clips, with twice as many real ones (64, or all of --clips_dir).
        seconds: Length of each clip, in seconds.
        conditional: 1: continue held-out recordings and compare the continuations (default); 0: from silence.
        temp: Temperature; 0 always takes the likeliest code.
        top_k: Draw from the K likeliest codes.
        top_p: Draw from the likeliest codes whose probabilities sum to P.
        batch_size: Clips made at once.
        seed: Seed of the clips, the noise and the bootstrap.
        clips_dir: Folder of existing clips of any model to compare; prompts of clips of sample.py are left out.
        audio_dir: The real recordings: its test/, else val/, else all; by default the test split of the training.
        sample_rate: Sample rate in Hz, with --clips_dir and --audio_dir, which need no checkpoint.
        resamples: Number of bootstrap resamples.
        output_dir: Folder of the result; evaluation/ in the run or --clips_dir, else a new one below generated/.
    """

    clips: PositiveInt | None = None
    seconds: PositiveFloat = SECONDS
    conditional: Literal[0, 1] = 1
    temp: NonNegativeFloat = 1.0
    top_k: PositiveInt = CLASSES
    top_p: ClosedUnitInterval = 1.0
    batch_size: PositiveInt = 16
    seed: NonNegativeInt = 0
    clips_dir: str | None = None
    audio_dir: str | None = None
    sample_rate: PositiveInt | None = None
    resamples: PositiveInt = RESAMPLES
    output_dir: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, least in (("clips", LEAST_CLIPS), ("resamples", 2)):
            if (count := getattr(self, name)) is not None and count < least:
                raise UsageError(f"--{name} is {count}, but must be {least} or more")
        if self.clips_dir and (fixed := given(self, "conditional", "temp", "top_k", "top_p", "batch_size", "engine")):
            raise UsageError(f"--{fixed} cannot be given with --clips_dir: nothing is generated")
        if self.needs_checkpoint and self.sample_rate:
            raise UsageError("--sample_rate is the checkpoint's; give it with both --clips_dir and --audio_dir only")
        if not self.needs_checkpoint and (unused := given(self, "ckpt_path", "snapshot_dir", "pretrained", "model")):
            raise UsageError(f"--{unused} has no use where --clips_dir and --audio_dir give all sound")

    @property
    def needs_checkpoint(self) -> bool:
        """True if clips or recordings come from a checkpoint."""
        return not (self.clips_dir and self.audio_dir)


def parse(argv: Sequence[str]) -> Options:
    """Return the options of a command line. UsageError where one is unknown or not valid."""
    name = "python -m sequnet_pl.evaluate"
    parser = Parser(prog=name, usage=f"{name} [options]", description=str(Options.__doc__).partition("\n")[0])
    parser.signature("", Options, {"output_dir": "out"})
    return Options(**parser.values(argv))
