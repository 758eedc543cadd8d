"""A schedule as the kernel that stays on the GPU reads it: tables of numbers, weights in one piece, places in memory.

Letters: C channels, F frames.
"""

from itertools import chain
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from sequnet_pl.names import WeightType
from sequnet_pl.sampling.engines.places import frames_not_kept, keep_frames, place_packets
from sequnet_pl.sampling.engines.rows import OperationRow, SegmentRow, TargetRow
from sequnet_pl.sampling.engines.schedule import Operation, Output, Read, Ring, Schedule

TYPES: dict[WeightType, torch.dtype] = {"float32": torch.float32, "bf16": torch.bfloat16}
_WORKSPACE = 256 * (8 + 4 + 1 + 1)
"""Bytes of shared memory before the frames."""
_MOST_BLOCKS = 128
"""More blocks read fewer weights each and wait longer for each other: as many as there are channels were quickest, or
half as many."""
_MOST_HELD = 8
"""Chunks of weights that a thread loads ahead."""


class Limits(NamedTuple):
    """What a GPU has."""

    blocks: int
    """That are resident at once, one on each multiprocessor."""
    shared: int
    """Bytes of shared memory for a block."""
    fewest_warps: int = 12
    most_warps: int = 16


class Layout:
    """All that a launch needs but the state and the samples.

    `constants` are what the source is compiled with; `numbers` are the fields of Job that are given here.

    Args:
        schedule: Of the network.
        weights: Type that the weights are kept in.
        limits: Of the GPU.

    Raises:
        ValueError: The network does not fit.
    """

    def __init__(self, schedule: Schedule, weights: WeightType, limits: Limits) -> None:
        self._schedule, self._type = schedule, TYPES[weights]
        operations = schedule.operations
        self.chunk = 16 // self._type.itemsize
        most = min(_MOST_BLOCKS, limits.blocks)
        channels = max(output.ring.width for operation in operations for output in operation.outputs if output.gated)
        self.blocks = -(-channels // -(-channels // most))
        shares = [sum(map(self._share, operation.outputs)) for operation in operations]
        warps = min(limits.most_warps, max(limits.fewest_warps, -(-max(shares) // 2) * 4))  # two sums an output
        self._splits = [max(1, warps // (2 * share)) for share in shares]
        self.threads = 32 * warps
        self._places = place_packets(schedule)
        self.packets = max(place.packets + place.slots * self._schedule.width for place in self._places.values())
        self.period = max(place.slots << (ring.shift + 1) for ring, place in self._places.items())
        """Of all slots; times from here on have no tick that is 0."""
        if len(schedule.lookup) > 256 or self.period > 1 << 29:
            raise ValueError("the network has too long a kernel or too many levels for it")
        if max(shares) > self.threads:
            raise ValueError("the network has too many channels for it")

        sums = max(share * (2 * split + 1) for share, split in zip(shares, self._splits, strict=True))
        segments = fetches = sum(len(operation.reads) for operation in operations)
        segments += sum(ring.raw is not None and not back for operation in operations for ring, back in operation.reads)
        targets = sum(len(operation.outputs) for operation in operations)
        steps = sum(map(len, schedule.patterns)) + len(schedule.patterns) + 1
        table = len(OperationRow._fields) * len(operations) + len(TargetRow._fields) * targets
        table += len(SegmentRow._fields) * segments + fetches + steps  # at most
        frames = keep_frames(schedule, self._places, (limits.shared - _WORKSPACE) // 4 - sums - table)
        self.table, self.numbers = self._tables(frames)
        self.shared = _WORKSPACE + 4 * (self.numbers["frames_size"] + self.numbers["table_size"] + sums)
        held = max(map(self._loads, operations, self._splits))
        self.constants = {"WIDTH": self._schedule.width, "THREADS": self.threads, "HELD": min(held, _MOST_HELD)}
        self.constants |= {"BF16": int(weights == "bf16"), "NORM": int(schedule.normed)}
        self.weights, self.biases = self._pack()
        self._counts = [len(ticks(0)) for _, ticks in schedule.frames]
        places = [self._places[ring] for ring, _ in schedule.frames]
        self._begins = np.repeat([place.packets for place in places], self._counts)
        self._masks = np.repeat([place.slots - 1 for place in places], self._counts)
        self._shifts = np.repeat([ring.shift for ring, _ in schedule.frames], self._counts)
        self.frame, self.channel = self._elements()

    def _share(self, output: Output) -> int:
        """Channels of a frame that a block owns at most."""
        return -(-output.ring.width // self.blocks)

    def _chunks(self, operation: Operation) -> int:
        """Of a row of weights."""
        return len(operation.reads) * self._schedule.width // self.chunk

    def _loads(self, operation: Operation, split: int) -> int:
        """Chunks of weights that a thread reads for a row at most."""
        halves = min(1 if output.gated else 2 for output in operation.outputs)
        return -(-self._chunks(operation) // (32 * split * halves))

    def _segment(self, read: Read, free: int = 0, given: bool = False) -> SegmentRow:
        """A frame that is read, or the frame that it is the norm of, which comes to the same place in shared memory."""
        place, (ring, back) = self._places[read.ring], read
        shared = free if place.shared is None else place.shared
        packets, slots, *_ = self._places[ring.given] if given else place
        return SegmentRow(packets, slots - 1, ring.width, shared, place.kept - 1, ring.shift, back)

    def _fetched(self) -> list[set[Ring]]:
        """Of which rings an operation may be the first of its step to read the newest frame."""
        found: list[set[Ring]] = [set() for _ in self._schedule.operations]
        for pattern in self._schedule.patterns:
            here: set[Ring] = set()
            for number in pattern:
                fresh = {ring for ring, back in self._schedule.operations[number].reads if not back} - here
                found[number] |= fresh
                here |= fresh
        return found

    def _tables(self, free: int) -> tuple[Tensor, dict[str, int]]:
        """All tables in one, and where each begins; frames that are not kept lie from `free` on."""
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
                kept = self._places[read.ring].shared is not None
                comes = not kept or (read.back == 0 and read.ring in fetched)
                normed = comes and read.back == 0 and read.ring.raw is not None
                assert not normed or number - first_segment == fresh < 2  # as the kernel takes it
                fresh += normed
                if comes and read.ring is not self._schedule.input:
                    fetches.append(first_segment + len(op.reads) + len(raw) if normed else number)
                    raw += [self._segment(read, other, given=True)] * normed
                segments.append(self._segment(read, other))
                other += 0 if kept else self._schedule.width
            segments += raw
            for output in op.outputs:
                place, ring, share = self._places[output.ring], output.ring, self._share(output)
                address = (place.packets, place.slots - 1, ring.shift, output.ahead)
                targets.append(TargetRow(*address, ring.width, share, output.gated, weights, biases))
                weights += len(output.weight) * self._chunks(op)
                biases += len(output.weight)
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
                    identity=-1 if op.identity is None else op.identity,
                    relu=op.relu,
                    relu_first=op.relu_first,
                )
            )
        numbers = {"input": len(segments)}
        segments.append(self._segment(Read(self._schedule.input, 0)))
        copied = len(segments)  # to shared memory; only the beginning of a launch needs the others
        kept = [ring for ring, place in self._places.items() if place.shared is not None]
        segments += [self._segment(Read(ring, back)) for ring in kept for back in range(ring.reach)]
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
        numbers["frames_size"] = free + frames_not_kept(self._schedule, self._places) * self._schedule.width
        return torch.tensor(list(chain(*tables.values())), dtype=torch.int32), numbers

    def _pack(self) -> tuple[Tensor, Tensor]:
        """Weights in their type and biases in float32, row by row; of gated ones filter and gate in turn."""
        weights, biases = [], []
        for op in self._schedule.operations:
            for output in op.outputs:
                rows = F.pad(output.weight.detach(), (0, self._schedule.width - output.weight.shape[-1]))
                for packed, values in ((weights, rows.to(self._type)), (biases, output.bias.detach().float())):
                    halves = values.unflatten(0, (2, -1)).transpose(0, 1) if output.gated else values
                    packed.append(halves.flatten())
        return torch.cat(weights), torch.cat(biases)

    def _elements(self) -> tuple[Tensor, Tensor]:
        """Of each number of a state's tensors, laid one after the other: number of its frame, and channel."""
        frames, channels, begin = [], [], 0
        for (ring, _), count in zip(self._schedule.frames, self._counts, strict=True):
            frames.append(torch.arange(begin, begin + count).repeat(ring.width))
            channels.append(torch.arange(ring.width).repeat_interleave(count))
            begin += count
        return torch.cat(frames), torch.cat(channels)

    def frames(self, time: int) -> tuple[Tensor, Tensor]:
        """Of each frame of a state of that time: where its packets begin, and its tick as the kernel counts."""
        later = self.time(time) - time  # a multiple of all cycles and slots
        ticks = np.concatenate([ticks(time) for _, ticks in self._schedule.frames]) + (later >> self._shifts)
        return torch.from_numpy(self._begins + (ticks & self._masks) * self._schedule.width), torch.from_numpy(ticks)

    def time(self, time: int) -> int:
        """As the kernel counts it."""
        return time % self.period + self.period
