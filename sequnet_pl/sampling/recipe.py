"""What decides a clip, and what is known of one that was made."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from sequnet_pl.audio.mulaw import CLASSES


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All that decides the codes of a clip: the same machine makes it again bit for bit."""

    checkpoint: str
    weights_sha256: str
    step: int
    """Of the checkpoint."""
    network: str
    sample_rate: int
    kind: str
    """What the clip continues: `continuation` of a held-out recording, `prompt` from a file, or `silence`."""
    prompt: str = ""
    """The file that the prompt is from."""
    prompt_end: float = 0.0
    """Seconds into that file at which the generated part begins."""
    prompt_samples: int = 0
    """Samples of the prompt at the start of the clip."""
    seed: int
    clip: int
    """Number of the clip: the random numbers depend on (seed, clip, time) only."""
    first_clip: int
    """Number of the first clip of its batch."""
    batch_size: int
    temperature: float = 1.0
    top_k: int = CLASSES
    top_p: float = 1.0
    engine: str = "eager"
    weights: str = "float32"
    """How the engine keeps the weights."""
    precision: str = "float32"
    """In which it computes otherwise."""
    device: str = "cpu"
    threads: int = 1
    torch: str = ""
    """Version."""
    label: str = ""
    """Empty for no label."""
    lead_in: float = 0.0
    """Seconds of silence at most that are cut before the first sound."""

    @property
    def stem(self) -> str:
        """The file name of the clip, without its ending."""
        label = "_" + re.sub(r"\W+", "-", self.label)[:40] if self.label else ""
        return f"step{self.step}_seed{self.seed}_temp{self.temperature:g}_{self.kind}{label}_{self.clip:03d}"


@dataclass(frozen=True, kw_only=True)
class Clip:
    """A clip that was made. The files lie in the folder of the list that names it."""

    recipe: Recipe
    wav: str
    samples: int
    """Of prompt and generation."""
    complete: bool
    """False where the making was stopped before its end."""
    bits_per_sample: float
    """What the network itself (at temperature 1) gives to the codes that it drew."""
    command: str
    """The command line that makes it again."""
    spectrogram: str = ""
    wav_sha256: str = ""
    """Of the file; empty for a clip of an earlier version."""
    lead_in_samples: int = 0
    """Silence that was drawn before the clip, and is not in it."""
    silent: bool = False
    """Whether the level of the generated part is below -60 dBFS."""
    context_samples: int = 0
    """Codes in the file beside the clip that ends in `.context`: read before it, and needed to continue it."""

    @property
    def generated(self) -> int:
        """Samples after the prompt."""
        return self.samples - self.recipe.prompt_samples

    @property
    def drawn(self) -> int:
        """Samples that were drawn up to the end of the clip."""
        return self.lead_in_samples + self.generated

    def to_json(self) -> dict[str, Any]:
        """Plain values, the recipe's among them."""
        values = asdict(self)
        return values.pop("recipe") | values

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """The other way. KeyError or TypeError where values are missing."""
        ours = {field.name for field in fields(cls)} - {"recipe"}
        former = {"state"}  # of an earlier version
        recipe = Recipe(**{name: value for name, value in values.items() if name not in ours | former})
        return cls(recipe=recipe, **{name: values[name] for name in ours & values.keys()})


def dump(clips: list[Clip]) -> str:
    """Clips as the text of a JSON file."""
    return json.dumps({"clips": [clip.to_json() for clip in clips]}, indent=2) + "\n"


def load(text: str) -> list[Clip]:
    """The other way. ValueError, KeyError or TypeError where it is no such text."""
    return [Clip.from_json(values) for values in json.loads(text)["clips"]]
