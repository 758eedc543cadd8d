"""The settings of a clip and the facts of a clip that was made: the entries of clips.json."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from sequnet_pl.audio.mulaw import CLASSES


@dataclass(frozen=True, kw_only=True)
class ClipMetadata:
    """All that decides the codes of a clip: the same machine makes it again bit for bit."""

    checkpoint: str
    weights_sha256: str
    step: int  # of the checkpoint
    network: str
    sample_rate: int
    kind: str  # `continuation` of a held-out recording, `prompt` from a file, or `silence`
    prompt: str = ""  # the file that the prompt is from
    prompt_end: float = 0.0  # seconds into that file at which the generated part begins
    prompt_samples: int = 0  # length of the prompt at the start of the clip
    seed: int
    clip: int  # its number: the random numbers depend on (seed, clip, time) only
    first_clip: int  # number of the first clip of its batch
    batch_size: int
    temperature: float = 1.0
    top_k: int = CLASSES
    top_p: float = 1.0
    engine: str = "eager"
    weights: str = "float32"  # how the engine stores the weights
    precision: str = "float32"  # of everything else
    device: str = "cpu"
    threads: int = 1
    torch: str = ""  # version
    label: str = ""  # empty for none
    lead_in: float = 0.0  # seconds of silence at most that are cut before the first sound

    @property
    def stem(self) -> str:
        """The file name of the clip, without its ending."""
        label = "_" + re.sub(r"\W+", "-", self.label)[:40] if self.label else ""
        return f"step{self.step}_seed{self.seed}_temp{self.temperature:g}_{self.kind}{label}_{self.clip:03d}"


@dataclass(frozen=True, kw_only=True)
class Clip:
    """A clip that was made, in the folder of the list that names it."""

    metadata: ClipMetadata
    wav: str
    samples: int  # of prompt and generation
    complete: bool  # False if it was stopped before its end
    bits_per_sample: float  # of the codes that were drawn, by the network itself (at temperature 1)
    command: str  # the command line that makes it again
    spectrogram: str = ""
    wav_sha256: str = ""  # of the file; empty for a clip of an earlier version
    lead_in_samples: int = 0  # silence that was drawn before the clip, and is not in it
    silent: bool = False  # whether the level of the generated part is below -60 dBFS
    context_samples: int = 0  # codes in the file that ends in `.context`: read before the clip, to continue it

    @property
    def generated(self) -> int:
        """Samples after the prompt."""
        return self.samples - self.metadata.prompt_samples

    @property
    def drawn(self) -> int:
        """Samples that were drawn up to the end of the clip."""
        return self.lead_in_samples + self.generated

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """A clip from its entry. Raises KeyError, TypeError or AttributeError if it is not one."""
        own = {field.name for field in fields(cls)}
        former = {"state"}  # of an earlier version
        metadata = ClipMetadata(**{name: value for name, value in values.items() if name not in own | former})
        return cls(metadata=metadata, **{name: values[name] for name in own & values.keys()})


def dump(clips: list[Clip]) -> str:
    """Clips as the text of a JSON file."""
    entries = [asdict(clip) for clip in clips]
    return json.dumps({"clips": [entry.pop("metadata") | entry for entry in entries]}, indent=2) + "\n"


def load(text: str) -> list[Clip]:
    """Clips from that text. Raises ValueError, KeyError, TypeError or AttributeError if it is not one."""
    return [Clip.from_json(values) for values in json.loads(text)["clips"]]
