"""What was sampled at one step of a training: clips in a folder, and a list of them that says what they are."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from sequnet_pl import atomic

LIST = "clips.json"


@dataclass(frozen=True, kw_only=True)
class SampledClip:
    """A clip in the folder, as `<name>.wav` and `<name>.png`, its spectrogram.

    Attributes:
        name: of the clip.
        kind: what it is: "continuation", "recording" (what really follows the same prompt) or "silence".
        border: seconds at which the prompt ends, 0 where there is none.
        bits_per_sample: what the network gives to the part after the border; None where there is none.
        flags: what may be wrong with that part (sequnet_pl.report.flags).
        temperature: of the draws; None of a recording.
        source: where the prompt is from.
    """

    name: str
    kind: str
    border: float
    bits_per_sample: float | None
    flags: Sequence[str] = ()
    temperature: float | None = None
    source: str = ""


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """All clips of a step, and how often each of the 256 codes occurs in recordings and in what was generated."""

    step: int
    rate: int
    seed: int
    clips: Sequence[SampledClip]
    real_codes: Sequence[int]
    generated_codes: Sequence[int]

    def write(self, folder: Path) -> None:
        """Write the list beside the clips. Raises UserError where that fails."""
        atomic.write_text(folder / LIST, json.dumps(asdict(self), indent=1))


def read_sampling(folder: Path) -> Sampling | None:
    """The sampling in a folder; None where there is none, or it is not whole."""
    try:
        content = json.loads((folder / LIST).read_text(encoding="utf-8"))
        return Sampling(**content | {"clips": [SampledClip(**clip) for clip in content["clips"]]})
    except (OSError, ValueError, KeyError, TypeError):
        return None
