"""Names of engines and weights, without torch, so that a command line is read before torch is loaded."""

from typing import Literal

EngineName = Literal["auto", "eager", "native", "cuda", "graphs"]
WeightType = Literal["float32", "bf16", "int8"]
