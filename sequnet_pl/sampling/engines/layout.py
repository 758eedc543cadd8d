"""A schedule as the persistent CUDA kernel reads it: tables of numbers, packed weights, and the allocation of frames.

All frames lie in packets in global memory, some of them in shared memory, too. The rows are the structures of
persistent/kernel.cu, field by field. Letters: C channels, F frames.
"""

from itertools import chain
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from sequnet_pl.models.network import Network
from sequnet_pl.models.sequnet import SeqUNet
from sequnet_pl.models.wavenet import WaveNet
from sequnet_pl.names import WeightType
from sequnet_pl.sampling.engines.networks import schedule
from sequnet_pl.sampling.engines.schedule import Operation, Output, Read, Ring, Schedule

TYPES: dict[WeightType, torch.dtype] = {"float32": torch.float32, "bf16": torch.bfloat16}
_WORKSPACE = 256 * (8 + 4 + 1 + 1)  # bytes of shared memory before the frames
# more blocks read fewer weights each and wait longer for each other: one a channel was fastest, or half as many
_MOST_BLOCKS = 128
_MOST_HELD = 8  # chunks of weights that a thread loads ahead


class Limits(NamedTuple):
    """The resources of a GPU."""

    blocks: int  # that are resident at once, one on each multiprocessor
    shared: int  # bytes of shared memory for a block
    fewest_warps: int = 12
    most_warps: int = 16


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


class Slot(NamedTuple):
    """The allocation of a ring: where its packets begin and how many slots it has, in shared memory, too, if kept."""

    packets: int
    slots: int
    shared: int | None = None
    kept: int = 1


def _padded(channels: int) -> int:
    """Return the channels of a frame in memory: a multiple of 8, which the kernel reads at once."""
    return -(-channels // 8) * 8


def kernel_schedule(network: Network) -> Schedule | None:
    """Return the schedule of a network for the kernel; None where it does not compute such networks."""
    if isinstance(network, SeqUNet) and not network.memories:
        return schedule(network, _padded(network.features), fused=True)
    if isinstance(network, WaveNet):
        conv = network.layers[0].conv
        return schedule(network, _padded(max(conv.in_channels, conv.out_channels // 2)), fused=True)
    return None


def _power_of_two(least: int) -> int:
    return 1 << (least - 1).bit_length()


def _allocate_packets(plan: Schedule, width: int) -> dict[Ring, Slot]:
    """Return slots in global memory for all rings of a schedule."""
    slots: dict[Ring, Slot] = {}
    begin = 0
    written = (output.ring for op in plan.operations for output in op.outputs)
    for ring in (plan.input, *written, *(ring for op in plan.operations for ring, _ in op.reads)):
        if ring not in slots:
            # a block may be a step ahead of another, and have written a frame ahead of that
            slots[ring] = Slot(begin, _power_of_two(ring.max_lag + 3))
            begin += slots[ring].slots * width
    return slots


def _not_kept(plan: Schedule, slots: dict[Ring, Slot]) -> int:
    """Return the number of frames that an operation reads at most which are not kept in shared memory."""
    lost = [[slots[ring].shared is None for ring, _ in op.reads] for op in plan.operations]
    return max(map(sum, lost))


def _allocate_shared(
    plan: Schedule, packets: dict[Ring, Slot], width: int, capacity: int
) -> tuple[dict[Ring, Slot], int]:
    """Keep rings in shared memory, frequent ones first; return all slots, and where the frames of the others begin.

    Raises ValueError where the capacity does not suffice for the input's.
    """
    first = plan.input
    newest = {ring for operation in plan.operations for ring, lag in operation.reads if not lag}
    # the input's frames are computed where they are kept
    order = sorted(newest | {first}, key=lambda ring: (ring is not first, ring.shift, ring.max_lag))
    slots, used = packets, 0
    for ring in order:
        count = _power_of_two(ring.max_lag + 1)
        tried = slots | {ring: slots[ring]._replace(shared=used, kept=count)}
        if used + (count + _not_kept(plan, tried)) * width <= capacity:
            slots, used = tried, used + count * width
        elif ring is first:
            raise ValueError("the GPU has too little shared memory for this network")
    return slots, used


class Layout:
    """The arguments of a launch but for the state and the samples.

    `constants` are what the source is compiled with; `numbers` are the fields of the kernel's job that are known here.

    Args:
        plan: Of the network, see `kernel_schedule`.
        weights: Type that the weights are kept in.
        limits: Of the GPU.

    Raises:
        ValueError: The network does not fit.
    """

    def __init__(self, plan: Schedule, weights: WeightType, limits: Limits) -> None:
        self._schedule, self._type = plan, TYPES[weights]
        operations = plan.operations
        read = {read.ring for operation in operations for read in operation.reads}
        self._width = _padded(max(ring.width for ring in read))
        normed = any(ring.raw for ring in read)
        self.chunk = 16 // self._type.itemsize
        most = min(_MOST_BLOCKS, limits.blocks)
        channels = max(output.ring.width for operation in operations for output in operation.outputs if output.gated)
        self.blocks = -(-channels // -(-channels // most))
        shares = [sum(map(self._share, operation.outputs)) for operation in operations]
        warps = min(limits.most_warps, max(limits.fewest_warps, -(-max(shares) // 2) * 4))  # two sums an output
        self._splits = [max(1, warps // (2 * share)) for share in shares]
        self.threads = 32 * warps
        packets = _allocate_packets(plan, self._width)
        self.packets = max(slot.packets + slot.slots * self._width for slot in packets.values())
        # of all slots; times from here on have no frame with index 0
        self.period = max(slot.slots << (ring.shift + 1) for ring, slot in packets.items())
        if len(plan.lookup) > 256 or self.period > 1 << 29:
            raise ValueError("the network has too long a kernel or too many levels for it")
        if max(shares) > self.threads:
            raise ValueError("the network has too many channels for it")

        sums = max(share * (2 * split + 1) for share, split in zip(shares, self._splits, strict=True))
        segments = fetches = sum(len(operation.reads) for operation in operations)
        segments += sum(ring.raw is not None and not lag for operation in operations for ring, lag in operation.reads)
        targets = sum(len(operation.outputs) for operation in operations)
        steps = sum(map(len, plan.patterns)) + len(plan.patterns) + 1
        table = len(OperationRow._fields) * len(operations) + len(TargetRow._fields) * targets
        table += len(SegmentRow._fields) * segments + fetches + steps  # at most
        capacity = (limits.shared - _WORKSPACE) // 4 - sums - table
        self._slots, frames = _allocate_shared(plan, packets, self._width, capacity)
        self.table, self.numbers = self._tables(frames)
        self.shared = _WORKSPACE + 4 * (self.numbers["frames_size"] + self.numbers["table_size"] + sums)
        held = max(map(self._loads, operations, self._splits))
        self.constants = {"WIDTH": self._width, "THREADS": self.threads, "HELD": min(held, _MOST_HELD)}
        self.constants |= {"BF16": int(weights == "bf16"), "NORM": int(normed)}
        self.weights, self.biases = self._pack()
        parts = [part for _, part in plan.frames]
        counts = [part.frames for part in parts]
        slots = [self._slots[part.ring] for part in parts]
        self._begins = np.repeat([slot.packets for slot in slots], counts)
        self._masks = np.repeat([slot.slots - 1 for slot in slots], counts)
        self._shifts = np.repeat([part.ring.shift for part in parts], counts)
        self.frame, self.channel = self._elements()

    def _share(self, output: Output) -> int:
        """Return the channels of a frame that a block owns at most."""
        return -(-output.ring.width // self.blocks)

    def _chunks(self, operation: Operation) -> int:
        """Return the chunks of a row of weights."""
        return len(operation.reads) * self._width // self.chunk

    def _loads(self, operation: Operation, split: int) -> int:
        """Return the chunks of weights that a thread reads for a row at most."""
        halves = min(1 if output.gated else 2 for output in operation.outputs)
        return -(-self._chunks(operation) // (32 * split * halves))

    def _segment(self, read: Read, free: int = 0, raw: bool = False) -> SegmentRow:
        """Return a frame that is read, or the frame before its normalisation, at the same shared memory address."""
        slot, (ring, lag) = self._slots[read.ring], read
        shared = free if slot.shared is None else slot.shared
        packets, slots, *_ = self._slots[ring.written] if raw else slot
        return SegmentRow(packets, slots - 1, ring.width, shared, slot.kept - 1, ring.shift, lag)

    def _fetched(self) -> list[set[Ring]]:
        """Return for each operation the rings of which it may be the first of its step to read the newest frame."""
        found: list[set[Ring]] = [set() for _ in self._schedule.operations]
        for pattern in self._schedule.patterns:
            here: set[Ring] = set()
            for number in pattern:
                fresh = {ring for ring, lag in self._schedule.operations[number].reads if not lag} - here
                found[number] |= fresh
                here |= fresh
        return found

    def _tables(self, free: int) -> tuple[Tensor, dict[str, int]]:
        """Return all tables as one, and the start of each; frames that are not kept lie from `free` on."""
        fetches: list[int] = []
        operations: list[OperationRow] = []
        targets: list[TargetRow] = []
        segments: list[SegmentRow] = []
        weights = biases = 0
        for op, split, fetched in zip(self._schedule.operations, self._splits, self._fetched(), strict=True):
            first_segment, first_fetch, first_target, other = len(segments), len(fetches), len(targets), free
            raw: list[SegmentRow] = []
            fresh = 0
            for number, read in enumerate(op.reads, first_segment):
                kept = self._slots[read.ring].shared is not None
                comes = not kept or (read.lag == 0 and read.ring in fetched)
                normed = comes and read.lag == 0 and read.ring.raw is not None
                assert not normed or number - first_segment == fresh < 2  # as the kernel takes it
                fresh += normed
                if comes and read.ring is not self._schedule.input:
                    fetches.append(first_segment + len(op.reads) + len(raw) if normed else number)
                    raw += [self._segment(read, other, raw=True)] * normed
                segments.append(self._segment(read, other))
                other += 0 if kept else self._width
            segments += raw
            for output in op.outputs:
                slot, ring, share = self._slots[output.ring], output.ring, self._share(output)
                address = (slot.packets, slot.slots - 1, ring.shift, output.ahead)
                targets.append(TargetRow(*address, ring.width, share, output.gated, weights, biases))
                weights += len(output.bias) * self._chunks(op)
                biases += len(output.bias)
            first = op.reads[0].ring
            operations.append(
                OperationRow(
                    segments=first_segment,
                    fresh=fresh,
                    chunks=self._chunks(op),
                    fetches=first_fetch,
                    fetch_count=len(fetches) - first_fetch,
                    targets=first_target,
                    outputs=sum(map(self._share, op.outputs)),
                    split=split,
                    inverse=-(-(1 << 16) // split),
                    held=min(self._loads(op, split), _MOST_HELD),
                    identity=op.added[0] if op.added else -1,
                    # frames are rectified when they are written, or after their normalisation
                    relu=any(output.ring.relu for output in op.outputs),
                    relu_first=first.relu and first.raw is not None,
                )
            )
        numbers = {"input": len(segments)}
        segments.append(self._segment(Read(self._schedule.input, 0)))
        copied = len(segments)  # to shared memory; only the beginning of a launch needs the others
        kept = [ring for ring, slot in self._slots.items() if slot.shared is not None]
        segments += [self._segment(Read(ring, lag)) for ring in kept for lag in range(ring.max_lag)]
        patterns = self._schedule.patterns
        tables = {
            "fetches": fetches,
            "operations": list(chain(*operations)),
            "targets": list(chain(*targets)),
            "order": list(chain(*patterns)),
            "patterns": [0, *np.cumsum([len(pattern) for pattern in patterns]).tolist()],
            "segments": list(chain(*segments)),
            "fills": list(range(copied, len(segments))),
        }
        begin = 0
        for name, table in tables.items():
            numbers[name] = begin
            begin += len(table)
        numbers["table_size"] = numbers["segments"] + copied * len(SegmentRow._fields)
        numbers |= {"pattern_count": len(patterns), "fill_count": len(tables["fills"])}
        numbers["frames_size"] = free + _not_kept(self._schedule, self._slots) * self._width
        return torch.tensor(list(chain(*tables.values())), dtype=torch.int32), numbers

    def _pack(self) -> tuple[Tensor, Tensor]:
        """Return weights in their type and biases in float32, row by row; of gated ones filter and gate alternate."""
        weights, biases = [], []
        for op in self._schedule.operations:
            for output in op.outputs:
                rows = torch.stack([self._column(output, weight) for weight in output.weights], dim=1)
                for packed, values in ((weights, rows.to(self._type)), (biases, output.bias.detach().float())):
                    halves = values.unflatten(0, (2, -1)).transpose(0, 1) if output.gated else values
                    packed.append(halves.flatten())
        return torch.cat(weights), torch.cat(biases)

    def _column(self, output: Output, weight: Tensor | None) -> Tensor:
        """Return the weights (rows, `width`) of a frame that is read."""
        if weight is None:
            return output.bias.new_zeros(len(output.bias), self._width)
        return F.pad(weight.detach(), (0, self._width - weight.shape[1])).to(output.bias.dtype)

    def _elements(self) -> tuple[Tensor, Tensor]:
        """Return for each number of a state's tensors, one after the other, its frame's number and its channel."""
        frames, channels, begin = [], [], 0
        for _, part in self._schedule.frames:
            frames.append(torch.arange(begin, begin + part.frames).repeat(part.ring.width))
            channels.append(torch.arange(part.ring.width).repeat_interleave(part.frames))
            begin += part.frames
        return torch.cat(frames), torch.cat(channels)

    def frames(self, time: int) -> tuple[Tensor, Tensor]:
        """Return for each frame of a state of that time where its packets begin, and its index for the kernel."""
        later = self.time(time) - time  # a multiple of all cycles and slots
        indices = [part.indices(time) for _, part in self._schedule.frames]
        indices = np.concatenate(indices) + (later >> self._shifts)
        return torch.from_numpy(self._begins + (indices & self._masks) * self._width), torch.from_numpy(indices)

    def time(self, time: int) -> int:
        """Return a time of the state as the kernel counts it."""
        return time % self.period + self.period
