"""Each network as the compiled kernels want it: packed weights in the order of their loops, and the tensors of a state.

The structures are those of the headers in native/, field by field. Letters: B clips, T time, C channels, K kernel.
"""

import ctypes
from collections.abc import Iterable
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from sequnet_pl.models.network import State
from sequnet_pl.models.sequnet import SeqUNet, SeqUNetState
from sequnet_pl.models.wavenet import WaveNet, WaveNetState
from sequnet_pl.names import WeightType
from sequnet_pl.sampling.engines.packing import Packer, layout

_int32, _pointer = ctypes.c_int32, ctypes.c_void_p


class DrawingStruct(ctypes.Structure):
    _fields_ = [("temperature", ctypes.c_double), ("top_p", ctypes.c_double), ("top_k", _int32)]


class JobStruct(ctypes.Structure):
    _fields_ = [
        ("logits", _pointer),
        ("uniform", _pointer),
        ("codes", _pointer),
        ("nats", _pointer),
        ("state", _pointer),
        ("time", ctypes.c_int64),
        ("clips", _int32),
        ("samples", _int32),
        ("threads", _int32),
        ("drawing", DrawingStruct),
    ]


class _SeqUNetStruct(ctypes.Structure):
    _fields_ = [(name, _pointer) for name in ("matrices", "biases", "table", "table_bias", "depths")] + [
        (name, _int32) for name in ("blocks", "channels", "kernel", "normed", "ends")
    ]


class _WaveNetStruct(ctypes.Structure):
    _fields_ = [(name, _pointer) for name in ("matrices", "biases", "table", "dilations")] + [
        (name, _int32) for name in ("layers", "kernel", "residual_channels", "pitch")
    ]


class Program(Protocol):
    """A network's loop over a block."""

    most_threads: int

    def run(self, job: JobStruct, state: State) -> None:
        """Do the job, whose state and time are filled in from `state`; this is updated in place."""
        ...


def _pointers(tensors: Iterable[Tensor]) -> ctypes.Array[ctypes.c_void_p]:
    addresses = [tensor.data_ptr() for tensor in tensors]
    return (ctypes.c_void_p * len(addresses))(*addresses)


def _check(status: int) -> None:
    if status:
        raise MemoryError("there is no memory or no thread left for sampling")


class SeqUNetProgram:
    """See Program."""

    def __init__(self, network: SeqUNet, weights: WeightType, kernels: ctypes.CDLL) -> None:
        self._kernels = kernels
        self._period = 4 * network.cycle  # the kernels run some taps for four outputs at once
        packer = Packer(weights, kernels)
        features = network.input_conv.bias.numel()
        gates = layout(2 * features, gated=True)

        def add(conv: nn.Conv1d, bias: Tensor | None) -> None:
            for part in conv.weight.split(features, dim=1):  # a conditioned layer: skip, then condition
                packer.add(gates, part.unbind(-1))
            if bias is not None:
                packer.add(gates, (), bias)

        for level in network.levels:
            for layer in (*level.down, level.strided):
                add(layer.conv, layer.conv.bias)
            add(level.upsample.even, None)
            add(level.upsample.odd, level.upsample.bias)
            for layer in level.up:
                add(layer.conv, layer.conv.bias)
        for layer in network.bottleneck:
            add(layer.conv, layer.conv.bias)
        for end in network.ends:
            packer.add(layout(end.out_channels, gated=False), end.weight.unbind(-1), end.bias)
        self._packed = packer.finish()
        padding = (0, gates.pitch // 2 - features)
        self._table = nn.functional.pad(network.input_conv.weight.detach(), padding).contiguous()
        self._table_bias = nn.functional.pad(network.input_conv.bias.detach(), padding)
        self._depths = (_int32 * len(network.depths))(*network.depths)
        self._struct = _SeqUNetStruct(
            matrices=ctypes.addressof(self._packed.matrices),
            biases=ctypes.addressof(self._packed.biases),
            table=self._table.data_ptr(),
            table_bias=self._table_bias.data_ptr(),
            depths=ctypes.addressof(self._depths),
            blocks=len(network.levels),
            channels=features,
            kernel=network.kernel_size,
            normed=network.normed,
            ends=len(network.ends),
        )
        self.most_threads = gates.panels

    def run(self, job: JobStruct, state: State) -> None:
        """See Program."""
        assert isinstance(state, SeqUNetState)
        tensors = [state.codes]
        for level in range(len(state.down)):
            tensors += [*state.down[level], state.upsample[level], state.odd[level], *state.up[level]]
        tensors += state.bottleneck
        buffers = [tensor.float().contiguous() for tensor in tensors]
        addresses = _pointers(buffers)
        job.state, job.time = ctypes.addressof(addresses), state.time % self._period
        _check(self._kernels.sequnet_block(ctypes.byref(self._struct), ctypes.byref(job)))
        for tensor, buffer in zip(tensors, buffers, strict=True):
            if tensor is not buffer:
                tensor.copy_(buffer)
        state.time += job.samples


class WaveNetProgram:
    """See Program. It lays the rings of a state frame by frame at first sight, values and shapes as they were."""

    def __init__(self, network: WaveNet, weights: WeightType, kernels: ctypes.CDLL) -> None:
        self._kernels = kernels
        packer = Packer(weights, kernels)
        first = network.layers[0]
        gates = layout(first.conv.out_channels, gated=True)
        skips = layout(first.skip.out_channels, gated=False)
        stream = layout(first.conv.in_channels, gated=False)
        for layer in network.layers:
            packer.add(gates, layer.conv.weight.unbind(-1), layer.conv.bias)
            packer.add(skips, layer.skip.weight.unbind(-1))
            if layer.residual is not None:
                packer.add(stream, layer.residual.weight.unbind(-1), layer.residual.bias)
        skip_bias = torch.stack([cast(Tensor, layer.skip.bias).detach() for layer in network.layers]).sum(dim=0)
        packer.add(skips, (), skip_bias)
        for end in (network.end_1, network.end_2):
            packer.add(layout(end.out_channels, gated=False), end.weight.unbind(-1), end.bias)
        self._packed = packer.finish()
        rows = (network.start.weight[0] + network.start.bias).detach()
        self._table = nn.functional.pad(rows, (0, stream.pitch - rows.shape[1])).contiguous()
        dilations = [layer.dilation for layer in network.layers]
        self._dilations = (_int32 * len(dilations))(*dilations)
        kernel_size = first.conv.kernel_size[0]
        self._period = (kernel_size - 1) * max(dilations)  # dilations are powers of two
        self._struct = _WaveNetStruct(
            matrices=ctypes.addressof(self._packed.matrices),
            biases=ctypes.addressof(self._packed.biases),
            table=self._table.data_ptr(),
            dilations=ctypes.addressof(self._dilations),
            layers=len(dilations),
            kernel=kernel_size,
            residual_channels=first.conv.in_channels,
            pitch=stream.pitch,
        )
        self.most_threads = gates.panels

    def run(self, job: JobStruct, state: State) -> None:
        """See Program."""
        assert isinstance(state, WaveNetState)
        for index, ring in enumerate(state.rings):
            frames = ring.transpose(1, 2)
            if not frames.is_contiguous():
                state.rings[index] = frames.contiguous().transpose(1, 2)
        addresses = _pointers(state.rings)
        # a period more: what the oldest frame's time is counted from stays positive
        job.state, job.time = ctypes.addressof(addresses), state.time % self._period + self._period
        _check(self._kernels.wavenet_block(ctypes.byref(self._struct), ctypes.byref(job)))
        state.time += job.samples
