"""What users call networks, engines and weights: known without torch, so that a command is read before it is loaded."""

from typing import Literal

CLASS_PATHS = {
    "sequnet": "sequnet_pl.training.module.SeqUNetModule",
    "wavenet": "sequnet_pl.training.module.WaveNetModule",
}
"""The networks, and the class that trains each, as configs and checkpoints name it."""
EngineName = Literal["auto", "eager", "native", "cuda", "graphs"]
WeightType = Literal["float32", "bf16", "int8"]
