"""Names of engines and weights: known without torch, so that a command is read before it is loaded."""

from typing import Literal

EngineName = Literal["auto", "eager", "native", "cuda", "graphs"]
WeightType = Literal["float32", "bf16", "int8"]
