"""The engine that is a kernel which stays on the GPU: a block of samples of one clip is one launch.

Letters: B clips, T time, C channels, Q = 256 classes.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from sequnet_pl.audio.mulaw import CLASSES
from sequnet_pl.errors import UserError
from sequnet_pl.models.sequnet import SeqUNetState
from sequnet_pl.names import WeightType
from sequnet_pl.sampling.draw import Drawing
from sequnet_pl.sampling.engines.base import Block, Session
from sequnet_pl.sampling.engines.layout import Layout, Limits
from sequnet_pl.sampling.engines.schedule import Schedule
from sequnet_pl.sampling.engines.schedules import tensors

CAPACITY = 1 << 14
"""Samples that a launch draws at most; all its logits are kept until it ends."""

Launch = Callable[[Mapping[str, Tensor | float]], None]
"""Begin to run the kernel on a job, given by the fields of JobStruct."""


class Processor(Protocol):
    """What runs the kernel."""

    limits: Limits

    def load(self, layout: Layout) -> Launch:
        """The kernel for networks that are laid out like this. RuntimeError where it cannot be compiled."""
        ...


class PersistentEngine:
    """See Engine. Clips are drawn one after the other, and what a clip draws does not depend on the others.

    Args:
        schedule: Of the network; later changes to its weights are not seen.
        weights: Type that the weights are kept in; bf16 is quicker and changes the logits a little.
        processor: What runs the kernel.

    Raises:
        ValueError: The network does not fit.
        RuntimeError: The kernel cannot be compiled.
    """

    name = "cuda"

    def __init__(self, schedule: Schedule, weights: WeightType, processor: Processor) -> None:
        self._layout = layout = Layout(schedule, weights, processor.limits)
        self._launch = processor.load(layout)
        device = schedule.lookup.device
        kernel_size, _, channels = schedule.lookup.shape
        self._constants: dict[str, Tensor | float] = {
            "table": layout.table.to(device),
            "weights": layout.weights,
            "biases": layout.biases,
            "lookup": schedule.lookup.detach().float().contiguous().clone(),
            "lookup_bias": schedule.lookup_bias.detach().float().clone(),
            "kernel": kernel_size,
            "channels": channels,
            **layout.numbers,
        }
        self._frame, self._channel = layout.frame.to(device), layout.channel.to(device)
        self._packets = torch.empty(layout.packets, 2, dtype=torch.int32, device=device)  # bits of the value, tick
        self._failed = torch.zeros(1, dtype=torch.int32, device=device)

    @torch.no_grad()
    def draw_block(self, session: Session, uniform: Tensor, drawing: Drawing) -> Block:
        """See Engine. UserError where the kernel does not come to its end."""
        pieces = [self._draw(session, piece, drawing) for piece in uniform.split(CAPACITY, dim=1)]
        return Block(torch.cat([piece.codes for piece in pieces], dim=1), torch.cat([p.nats for p in pieces], dim=1))

    def _draw(self, session: Session, uniform: Tensor, drawing: Drawing) -> Block:
        state, (clips, samples) = session.state, uniform.shape
        parts, after = tensors(state), []
        codes = torch.zeros(clips, samples, dtype=torch.uint8, device=uniform.device)
        logits = torch.empty(clips, samples + 1, CLASSES, device=uniform.device)
        logits[:, 0] = session.logits
        history = state.codes.to(torch.uint8) if isinstance(state, SeqUNetState) else codes  # the WaveNet reads none
        job = self._constants | {"failed": self._failed, "packets": self._packets, "samples": samples}
        job |= {"temperature": drawing.temperature, "top_k": drawing.top_k, "top_p": drawing.top_p}
        job["time"] = self._layout.time(state.time)
        before, ticks = self._places(state.time)
        behind, _ = self._places(state.time + samples)
        for clip in range(clips):
            self._packets.zero_()  # no packet of an earlier launch is to be taken for one of this
            self._packets[before, 0] = torch.cat([part[clip].flatten() for part in parts]).float().view(torch.int32)
            self._packets[before, 1] = ticks
            own = {"history": history[clip], "codes": codes[clip], "logits": logits[clip]}
            self._launch(job | own | {"uniform": uniform[clip].contiguous()})
            if self._failed.item():
                self._failed.zero_()
                raise UserError("the kernel got stuck on the GPU, which is a defect; --engine graphs does without it")
            after.append(self._packets[behind, 0].view(torch.float32))
        # only now, so that an interrupt leaves the session as it was
        values = torch.stack(after).split([part[0].numel() for part in parts], dim=1)
        for part, value in zip(parts, values, strict=True):
            part.copy_(value.view_as(part))
        if isinstance(state, SeqUNetState):
            state.codes.copy_(torch.cat((state.codes, codes.to(state.codes.dtype)), dim=1)[:, samples:])
        state.time += samples
        session.logits = logits[:, -1].to(session.logits.dtype)
        session.drawn += samples
        nats = F.cross_entropy(logits[:, :-1].flatten(0, 1), codes.flatten().long(), reduction="none")
        return Block(codes, nats.view(clips, samples))

    def _places(self, time: int) -> tuple[Tensor, Tensor]:
        """Of each number of a state of that time: which packet it is, and its tick."""
        begins, ticks = (values.to(self._frame.device) for values in self._layout.frames(time))
        return begins[self._frame] + self._channel, ticks[self._frame].int()
