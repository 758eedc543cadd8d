"""Weights as the compiled kernels read them: cut to panels of outputs, in the order in which they are read.

The structures are those of the headers in native/, field by field.
"""

import ctypes
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from sequnet_pl.names import WeightType

LANES = 16
"""Numbers in a vector, whatever the processor makes of it."""

_FORMATS: dict[WeightType, tuple[int, int, int]] = {  # number in the kernels, inputs side by side, bytes a weight
    "float32": (0, 1, 4),
    "bf16": (1, 2, 2),
    "int8": (2, 4, 1),
}


class MatrixStruct(ctypes.Structure):
    _fields_ = [
        ("weights", ctypes.c_void_p),
        ("scales", ctypes.c_void_p),
        ("zeros", ctypes.c_void_p),
        ("inputs", ctypes.c_int32),
        ("panels", ctypes.c_int32),
        ("width", ctypes.c_int32),
        ("format", ctypes.c_int32),
    ]


class Layout(NamedTuple):
    """How outputs are dealt out to panels, of `width` vectors each; `rows` (pitch,) is -1 where there is none."""

    panels: int
    width: int
    rows: Tensor

    @property
    def pitch(self) -> int:
        return self.panels * self.width * LANES


def layout(outputs: int, gated: bool) -> Layout:
    """The layout of a matrix; of a gated one, whose outputs are filters and gates, a panel has both of its channels."""
    pairs = -(-outputs // (2 * LANES))
    # two threads are to have as much to do as each other; of equals the widest, which reads its inputs least often
    width = min((3, 2, 1), key=lambda width: -(-pairs // width // 2) * width)
    panels = -(-pairs // width)
    position = torch.arange(panels * 2 * width * LANES)
    if gated:
        channels = outputs // 2
        panel, part, within = torch.unravel_index(position, (panels, 2, width * LANES))
        channel = panel * width * LANES + within
        rows = torch.where(channel < channels, channel + part * channels, -1)
    else:
        rows = torch.where(position < outputs, position, -1)
    return Layout(panels, 2 * width, rows)


def arrange(rows: Tensor, values: Tensor) -> Tensor:
    """The values (outputs, ...) in the order of a layout's rows, zeros where there is none."""
    return values[rows.clamp(min=0)] * (rows >= 0).view(-1, *[1] * (values.dim() - 1)).to(values.dtype)


class Packer:
    """Collects the matrices and biases of a network, keeps their memory, and gives what points to it."""

    def __init__(self, weights: WeightType, kernels: ctypes.CDLL) -> None:
        self._kernels = kernels
        self.number, self.group, self.bytes = _FORMATS[weights]
        self._matrices: list[tuple[Layout, Tensor]] = []
        self._biases: list[Tensor] = []

    def add(self, layout: Layout, taps: Sequence[Tensor], bias: Tensor | None = None) -> None:
        """Matrices (outputs, inputs) of one layout, and the bias that goes with them."""
        self._matrices += [(layout, tap.detach()) for tap in taps]
        if bias is not None:
            self._biases.append(arrange(layout.rows, bias.detach().float()))

    def finish(self) -> "Packed":
        """Everything in one piece of memory."""
        structs = (MatrixStruct * len(self._matrices))()
        sizes = [layout.pitch * self._inputs(tap) * self.bytes for layout, tap in self._matrices]
        memory = torch.empty(sum(sizes), dtype=torch.uint8)
        self._kernels.use_large_pages(ctypes.c_void_p(memory.data_ptr()), ctypes.c_size_t(memory.nbytes))
        keep: list[Tensor] = [memory]
        for struct, (layout, tap), part in zip(structs, self._matrices, memory.split(sizes), strict=True):
            inputs = self._inputs(tap)
            rows = arrange(layout.rows, tap.float())
            scales = zeros = torch.empty(0)
            if self.number == 2:
                scales = (rows.abs().amax(dim=1) / 127).clamp(min=torch.finfo(torch.float32).tiny)
                rows = (rows / scales.unsqueeze(1)).round()
                zeros = (-128 * rows.sum(dim=1)).nan_to_num().int()
                keep += [scales, zeros]
            rows = torch.nn.functional.pad(rows, (0, inputs - rows.shape[1]))
            kind = (torch.float32, torch.bfloat16, torch.int8)[self.number]
            # by panel (vectors, lanes, inputs / g, g) to (inputs / g, vectors, lanes, g)
            panels = rows.view(layout.panels, layout.width, LANES, inputs // self.group, self.group)
            part.view(kind).copy_(panels.permute(0, 3, 1, 2, 4).reshape(-1))
            struct.weights, struct.scales, struct.zeros = part.data_ptr(), scales.data_ptr(), zeros.data_ptr()
            struct.inputs, struct.panels, struct.width, struct.format = inputs, layout.panels, layout.width, self.number
        biases = (ctypes.c_void_p * len(self._biases))(*(bias.data_ptr() for bias in self._biases))
        return Packed(structs, biases, memory, keep + self._biases)

    def _inputs(self, tap: Tensor) -> int:
        return -(-tap.shape[1] // self.group) * self.group


class Packed(NamedTuple):
    """Weights ready for the kernels, for as long as this lives."""

    matrices: ctypes.Array[MatrixStruct]
    biases: ctypes.Array[ctypes.c_void_p]
    memory: Tensor
    keep: list[Tensor]
