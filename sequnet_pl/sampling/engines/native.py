"""The C++ engine: a schedule and its packed weights, which compiled kernels run for whole blocks on the CPU.

What it draws does not depend on the number of clips or threads, nor on where blocks end, not even by rounding. The
structures are those of native/, field by field. Letters: B clips, C channels, F frames, K kernel, T time.
"""

import ctypes
from collections.abc import Iterable, Sequence
from itertools import chain
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sequnet_pl.errors import UserError
from sequnet_pl.models.network import Network
from sequnet_pl.models.wavenet import WaveNetState
from sequnet_pl.names import WeightType
from sequnet_pl.sampling.draw import SamplingParams
from sequnet_pl.sampling.engines.base import Block, Session
from sequnet_pl.sampling.engines.networks import advance, history, of_clips, schedule, tensors
from sequnet_pl.sampling.engines.schedule import Operation, Output, Ring, Schedule

_LANES = 16  # numbers in a vector of the kernels
_LARGE_RING = 64  # slots from which on memory counts for more than the time of a division
_SLOTS = 4  # outputs that a tap serves at once at most
_TRIAL = 64  # samples by which a number of threads is timed
_ROUND = 16_000  # samples between two timings
_FORMATS: dict[WeightType, tuple[int, int, torch.dtype]] = {  # number in the kernels, inputs side by side, type
    "float32": (0, 1, torch.float32),
    "bf16": (1, 2, torch.bfloat16),
    "int8": (2, 4, torch.int8),
}
_KINDS = {"window": 0, "rotating": 1, "ahead": 2, "fixed": 3}
_ACTIVATIONS = {"none": 0, "gate": 1, "glu": 2, "gelu": 3}
_pointer, _int32, _int64, _double = ctypes.c_void_p, ctypes.c_int32, ctypes.c_int64, ctypes.c_double


def _struct(name: str, *fields: tuple[str, Any]) -> Any:
    """Return a structure, from names separated by spaces and their type."""
    listed = [(field, kind) for names, kind in fields for field in names.split()]
    return type(name, (ctypes.Structure,), {"_fields_": listed})


_Matrix = _struct("Matrix", ("weights scales zeros", _pointer), ("inputs panels width format", _int32))
_StateView = _struct("StateView", ("numbers", _pointer), ("clip channel frame", _int64))
_SamplingParams = _struct("SamplingParams", ("temperature top_p", _double), ("top_k", _int32))
_Job = _struct(
    "Job",
    ("logits uniform codes history input_biases nats state", _pointer),
    ("time", _int64),
    ("clips samples threads", _int32),
    ("params", _SamplingParams),
)
_Schedule = _struct(
    "Schedule",
    ("matrices biases recurrences norms rings taps outputs operations order patterns parts table", _pointer),
    ("ring_count output_count operation_count pattern_count part_count kernel pitch input quantize", _int32),
)


class _Panels(NamedTuple):
    """The order of a matrix's rows: `number` panels of `width` vectors; `rows` (pitch,) is -1 where there is none."""

    number: int
    width: int
    rows: Tensor

    @classmethod
    def of(cls, outputs: int, gated: bool) -> "_Panels":
        """Return the panels of a number of rows; those of a gated matrix hold filter and gate of each channel."""
        pairs = -(-outputs // (2 * _LANES))
        # two threads share the work equally; of equals the widest, which reads its inputs least often
        width = min((3, 2, 1), key=lambda width: -(-pairs // width // 2) * width)
        count = -(-pairs // width)
        position = torch.arange(count * 2 * width * _LANES)
        if gated:
            panel, part, within = torch.unravel_index(position, (count, 2, width * _LANES))
            channel = panel * width * _LANES + within
            return cls(count, 2 * width, torch.where(channel < outputs // 2, channel + part * (outputs // 2), -1))
        return cls(count, 2 * width, torch.where(position < outputs, position, -1))

    def arrange(self, values: Tensor) -> Tensor:
        """Return the values (outputs, ...) in the order of the rows, zeros where there is none."""
        there = (self.rows >= 0).view(-1, *[1] * (values.dim() - 1))
        return values[self.rows.clamp(min=0)] * there.to(values.dtype)


def _panels(output: Output) -> _Panels:
    return _Panels.of(len(output.bias), output.gated)


def _recurrence(output: Output, panels: _Panels) -> Tensor:
    """Return the weights of a recurrence: direct (pitch,), then by vector of channels (N, 6, 16)."""
    if output.recurrence is None:
        return torch.empty(0)
    decay, gain, response, direct = (each.detach() for each in output.recurrence[1:])
    parts = [decay.real, decay.imag, gain.real, gain.imag, response.real, -response.imag]
    arranged = panels.arrange(torch.stack(parts, dim=-1))  # (pitch, N, 6)
    by_vector = arranged.unflatten(0, (-1, _LANES)).permute(0, 2, 3, 1)
    return torch.cat((panels.arrange(direct), by_vector.flatten())).float().contiguous()


class _Rings:
    """The rings of a schedule: their numbers, and how many slots of which length each has.

    A ring of normalised frames and that of the frames before are one ring of the kernels.
    """

    def __init__(self, plan: Schedule) -> None:
        outputs = [output for operation in plan.operations for output in operation.outputs]
        self.ahead: dict[Ring, int] = {}
        pitches: dict[int, int] = {}  # by width: a frame is as long as those that are added to it
        for output in outputs:
            pitch, width = len(_panels(output).rows) // (1 + output.gated), output.ring.width
            pitches[width] = max(pitches.get(width, 0), pitch)
            self.ahead[output.ring] = max(self.ahead.get(output.ring, 0), output.ahead)
        self.numbers: dict[Ring, int] = {}
        self.pitches: dict[Ring, int] = {}
        self.slots: dict[Ring, int] = {}
        states = [output.recurrence.states for output in outputs if output.recurrence]
        for ring in dict.fromkeys([plan.input, *(read.ring for op in plan.operations for read in op.reads), *states]):
            self.numbers[ring] = self.numbers[ring.written] = len(self.slots)
            slots = ring.max_lag + 2 + self.ahead.get(ring.written, 0)
            self.slots[ring] = slots if slots > _LARGE_RING else 1 << (slots - 1).bit_length()
            self.pitches[ring] = pitches.get(ring.width, -(-ring.width // _LANES) * _LANES)
        self.raw = {ring.raw for ring in self.slots if ring.raw}

    def rows(self) -> Iterable[int]:
        """Return the fields of the kernels' rings."""
        for ring, slots in self.slots.items():
            norm = 0 if ring.raw is None else 1 + isinstance(ring.norm, nn.LayerNorm)
            yield from (slots, self.pitches[ring], ring.width, ring.shift, norm, ring.relu)

    def norms(self) -> Iterable[Tensor]:
        """Return for each ring weight, bias and epsilon of its LayerNorm, (3, pitch)."""
        for ring in self.slots:
            values = torch.zeros(3, self.pitches[ring])
            if isinstance(ring.norm, nn.LayerNorm):
                values[0, : ring.width], values[1, : ring.width] = ring.norm.weight.detach(), ring.norm.bias.detach()
                values[2] = ring.norm.eps
            yield values


class _Program:
    """A network's schedule and weights in the kernels' structures; later changes to its weights are not seen."""

    def __init__(self, plan: Schedule, weights: WeightType, kernels: ctypes.CDLL) -> None:
        self._kernels, self._keep = kernels, []
        self._number, self._group, self._type = _FORMATS[weights]
        self._matrices: list[tuple[_Panels, Tensor]] = []
        self._rings = rings = _Rings(plan)
        taps: list[tuple[int, ...]] = []
        outputs: list[int] = []
        operations: list[int] = []
        biases: list[Tensor] = []
        recurrences: list[Tensor] = []
        self.most_threads = 1
        for operation in plan.operations:
            operations += [len(biases), len(operation.outputs), operation.shift]
            for output in operation.outputs:
                panels = _panels(output)
                found = self._taps(operation, output, panels)
                outputs += [len(taps), len(found), panels.number, panels.width]
                outputs += self._target(plan, operation, output)
                taps += found
                biases.append(panels.arrange(output.bias.detach().float()).contiguous())
                recurrences.append(_recurrence(output, panels))
                self.most_threads = max(self.most_threads, panels.number)
        self._tensors = [(number, part.first) for number, part in plan.frames]
        parts: list[int] = []
        for _, part in plan.frames:
            is_raw = part.ring in rings.raw
            parts += [rings.numbers[part.ring], part.frames, _KINDS[part.kind], is_raw]
            parts += [part.ring.width, part.offset, part.group]
        rotating = [part.frames for _, part in plan.frames if part.kind == "rotating"]
        self._cycle = int(np.lcm.reduce([_SLOTS << max(ring.shift for ring in rings.slots), *rotating]))
        oldest = max((ring.max_lag + 1) << ring.shift for ring in rings.slots)
        self._offset = (oldest // self._cycle + 1) * self._cycle  # added to times, so that no index is negative
        padding = (0, rings.pitches[plan.input] - plan.input.width)
        table = F.pad(plan.lookup.detach(), padding).contiguous()
        self._input_biases = F.pad(plan.lookup_biases.detach(), padding)
        self._keep.append(table)
        self._struct = _Schedule(
            matrices=self._packed(),
            biases=self._addresses(biases),
            recurrences=self._addresses(recurrences),
            norms=self._addresses(list(rings.norms())),
            rings=self._array(rings.rows()),
            taps=self._array(chain(*taps)),
            outputs=self._array(outputs),
            operations=self._array(operations),
            order=self._array(chain(*plan.patterns)),
            patterns=self._array(np.cumsum([0, *map(len, plan.patterns)]).tolist()),
            parts=self._array(parts),
            table=table.data_ptr(),
            ring_count=len(rings.slots),
            output_count=len(biases),
            operation_count=len(plan.operations),
            pattern_count=len(plan.patterns),
            part_count=len(plan.frames),
            kernel=len(table),
            pitch=table.shape[-1],
            input=rings.numbers[plan.input],
            quantize=self._number == 2,
        )

    def _taps(self, operation: Operation, output: Output, panels: _Panels) -> list[tuple[int, ...]]:
        """Return rows, the most batched first: a tap with a lag serves as many outputs as it has the frames for.

        Those without a matrix are frames that are added.
        """
        assert len(operation.added) <= 2  # as the kernels take it
        found, added = [], []
        for number, ((ring, lag), weight) in enumerate(zip(operation.reads, output.weights, strict=True)):
            stride, known, batch = operation.shift - ring.shift, lag + self._rings.ahead.get(ring.written, 0), _SLOTS
            while (batch - 1) << stride > known:
                batch //= 2
            read = (self._rings.numbers[ring], lag, batch, stride)
            if number in operation.added:
                added.append((-1, *read))
            if weight is not None:
                found.append((len(self._matrices), *read))
                self._matrices.append((panels, weight.detach()))
        return sorted(found, key=lambda row: -row[3]) + added

    def _target(self, plan: Schedule, operation: Operation, output: Output) -> list[int]:
        """Return the target of an output, its activation, and the source and the states of its recurrence."""
        row = [-1, 0, output.ahead, _ACTIVATIONS[output.activation]]  # the logits
        if operation is not plan.operations[-1]:
            row[:2] = [self._rings.numbers[output.ring], operation.shift - output.ring.shift]
        if output.recurrence is None:
            return [*row, -1, -1, 0]
        states = output.recurrence.states
        return [
            *row,
            self._rings.numbers[operation.reads[0].ring],
            self._rings.numbers[states],
            states.max_lag // 2 + 1,
        ]

    def _packed(self) -> int:
        """Return the address of the matrices, packed into one piece of memory in the order in which they are read."""
        structs = (_Matrix * len(self._matrices))()
        inputs = [-(-weight.shape[1] // self._group) * self._group for _, weight in self._matrices]
        sizes = [len(panels.rows) * count for (panels, _), count in zip(self._matrices, inputs, strict=True)]
        memory = torch.empty(sum(sizes), dtype=self._type)
        self._kernels.use_large_pages(_pointer(memory.data_ptr()), ctypes.c_size_t(memory.nbytes))
        self._keep += [structs, memory]
        everything = zip(structs, self._matrices, inputs, memory.split(sizes), strict=True)
        for struct, (panels, weight), count, part in everything:
            rows = panels.arrange(weight.float())
            scales = zeros = torch.empty(0)
            if self._number == 2:
                scales = (rows.abs().amax(dim=1) / 127).clamp(min=torch.finfo(torch.float32).tiny)
                rows = (rows / scales.unsqueeze(1)).round()
                zeros = (-128 * rows.sum(dim=1)).nan_to_num().int()
                self._keep += [scales, zeros]
            rows = F.pad(rows, (0, count - rows.shape[1]))
            # by panel (vectors, lanes, inputs / g, g) to (inputs / g, vectors, lanes, g)
            cut = rows.view(panels.number, panels.width, _LANES, count // self._group, self._group)
            part.copy_(cut.permute(0, 3, 1, 2, 4).reshape(-1))
            struct.weights, struct.scales, struct.zeros = part.data_ptr(), scales.data_ptr(), zeros.data_ptr()
            struct.inputs, struct.panels, struct.width, struct.format = count, panels.number, panels.width, self._number
        self._matrices = []
        return ctypes.addressof(structs)

    def _addresses(self, values: Sequence[Tensor]) -> int:
        self._keep += values
        return self._array([value.data_ptr() for value in values], torch.int64)

    def _array(self, values: Iterable[int], dtype: torch.dtype = torch.int32) -> int:
        """Return the address of the values side by side."""
        array = torch.tensor([*values], dtype=dtype)
        self._keep.append(array)
        return array.data_ptr()

    def draw(self, session: Session, uniform: Tensor, params: SamplingParams, threads: int) -> Block:
        """Draw a block on a number of threads; update the session."""
        state, (clips, samples) = session.state, uniform.shape
        block = Block(torch.empty(uniform.shape, dtype=torch.uint8), torch.empty(uniform.shape))
        if isinstance(state, WaveNetState):  # long rings are laid out frame by frame; values and shapes stay
            state.rings[:] = [ring.transpose(1, 2).contiguous().transpose(1, 2) for ring in state.rings]
        before, held, biases = history(state), tensors(state), of_clips(self._input_biases, state, clips)
        views = (_StateView * len(self._tensors))()
        for view, (number, first) in zip(views, self._tensors, strict=True):
            clip, channel, *frame = held[number].stride()  # of (B, C, F) or (B, C)
            view.numbers = held[number].data_ptr() + first * channel * held[number].itemsize
            view.clip, view.channel, view.frame = clip, channel, frame[0] if frame else 1
        job = _Job(
            logits=session.logits.data_ptr(),
            uniform=uniform.data_ptr(),
            codes=block.codes.data_ptr(),
            history=before.data_ptr(),
            input_biases=biases.data_ptr(),
            nats=block.nats.data_ptr(),
            state=ctypes.addressof(views),
            time=state.time % self._cycle + self._offset,
            clips=clips,
            samples=samples,
            threads=threads,
            params=_SamplingParams(params.temperature, params.top_p, params.top_k),
        )
        if self._kernels.sample_block(ctypes.byref(self._struct), ctypes.byref(job)):
            raise MemoryError("there is no memory or no thread left for sampling")
        advance(state, block.codes)
        return block


class NativeEngine:
    """See Engine. A block runs on as many threads as torch may use, or on one where that was faster.

    Threads that wait for each other at every layer are slow where a core is busy, so both are timed now and then.

    Args:
        network: A SeqUNet, WaveNet or SaShiMi, in float32 on the CPU; later changes to its weights are not seen.
        weights: Type of the packed weights; less than float32 is faster and changes the logits a little.
        kernels: The compiled kernels, see build.py.

    Raises:
        UserError: The kernels do not compute such a network.
    """

    name = "native"

    def __init__(self, network: Network, weights: WeightType, kernels: ctypes.CDLL) -> None:
        plan = schedule(network)
        if plan is None:
            raise UserError(f"the native engine computes SeqUNet, WaveNet and SaShiMi, not {type(network).__name__}")
        self._program = _Program(plan, weights, kernels)
        self._seconds: dict[int, float] = {}  # a sample, by number of threads
        self._since_trial = _ROUND

    @torch.no_grad()
    def sample_block(self, session: Session, uniform: Tensor, params: SamplingParams) -> Block:
        """See Engine."""
        session.logits = session.logits.clone(memory_format=torch.contiguous_format)
        most, samples = min(torch.get_num_threads(), self._program.most_threads), uniform.shape[1]
        pieces = []

        def draw(threads: int, piece: Tensor) -> None:
            begin = perf_counter()
            pieces.append(self._program.draw(session, piece.contiguous(), params, threads))
            self._seconds[threads] = (perf_counter() - begin) / piece.shape[1]

        if most > 1 and self._since_trial >= _ROUND and samples >= 4 * _TRIAL:
            self._since_trial = 0
            for threads in (1, most):
                piece, uniform = uniform.split([_TRIAL, uniform.shape[1] - _TRIAL], dim=1)
                draw(threads, piece)
        best = min({1, most} & self._seconds.keys(), key=self._seconds.__getitem__, default=1)
        self._since_trial += uniform.shape[1]
        draw(best, uniform)
        session.drawn += samples
        return Block(torch.cat([piece.codes for piece in pieces], dim=1), torch.cat([p.nats for p in pieces], dim=1))
