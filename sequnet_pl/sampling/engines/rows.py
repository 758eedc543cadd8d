"""The structures of persistent/kernel.cu, field by field."""

import ctypes
from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor

_pointer, _int32 = ctypes.c_void_p, ctypes.c_int32


class JobStruct(ctypes.Structure):
    """The argument of the kernel, as in persistent/kernel.cu."""

    _fields_ = [
        *((name, _pointer) for name in ("table", "weights", "biases", "lookup", "lookup_bias", "packets", "uniform")),
        *((name, _pointer) for name in ("history", "codes", "logits", "failed")),
        ("temperature", ctypes.c_double),
        ("top_p", ctypes.c_double),
        ("top_k", _int32),
        ("time", ctypes.c_uint32),
        *((name, _int32) for name in ("samples", "kernel", "channels")),
        *((name, _int32) for name in ("operations", "targets", "order", "patterns", "segments")),
        *((name, _int32) for name in ("pattern_count", "table_size", "fills", "fill_count", "input", "frames_size")),
    ]

    @classmethod
    def of(cls, values: Mapping[str, Tensor | float]) -> "JobStruct":
        """Tensors are given by their addresses, for as long as they live."""
        return cls(**{name: v.data_ptr() if isinstance(v, Tensor) else v for name, v in values.items()})


class SegmentRow(NamedTuple):
    packets: int
    mask: int
    width: int
    shared: int
    kept: int
    shift: int
    back: int


class TargetRow(NamedTuple):
    packets: int
    mask: int
    shift: int
    ahead: int
    width: int
    share: int
    gated: int
    weights: int
    bias: int


class OperationRow(NamedTuple):
    segments: int
    fresh: int
    chunks: int
    fetches: int
    fetch_count: int
    targets: int
    outputs: int
    split: int
    inverse: int
    held: int
    identity: int
    relu: int
    relu_first: int
