"""The engine for many clips on a GPU: each step pattern of a network is one CUDA graph, which also draws the code.

The graphs work on fixed tensors: a state, the uniform numbers of a block, a position that the graph itself moves on,
and the codes that it has drawn. Nothing is handed to or asked of the GPU for a sample but the launch of a graph; codes
are read when a block is full. On the CPU the same steps run without graphs, which is how they are tested there.
Letters: B clips, T time, Q = 256 classes, C channels, K kernel.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from sequnet_pl.models.layers import apply_window, gate
from sequnet_pl.models.network import Network, State
from sequnet_pl.models.wavenet import WaveNet, WaveNetState
from sequnet_pl.sampling.draw import Drawing, draw
from sequnet_pl.sampling.engines.base import Block, Session

CAPACITY = 4096
"""Samples that a graph can draw before its tensors are read; longer blocks are drawn in pieces of this size."""


class Stepper(Protocol):
    """A network's step by pattern: what depends on the time apart from the pattern is looked up on the device."""

    patterns: int

    def pattern(self, time: int) -> int:
        """The pattern of the step that leads to a time."""
        ...

    def step(self, pattern: int, code: Tensor, state: State, clock: Tensor) -> Tensor:
        """As `Network.step`, for any time of the pattern; `clock`, int64 on the device, tells which."""
        ...


class SeqUNetStepper:
    """The Seq-U-Net's own step: its pattern, how often the time is divisible by two, is all that it asks of a time."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.patterns = network.cycle.bit_length()

    def pattern(self, time: int) -> int:
        """See Stepper."""
        time %= self.network.cycle
        return (time & -time).bit_length() - 1 if time else self.patterns - 1

    def step(self, pattern: int, code: Tensor, state: State, clock: Tensor) -> Tensor:
        """See Stepper."""
        state.time = 2**pattern - 1  # the step moves it on
        return self.network.step(code, state)


class WaveNetStepper:
    """The WaveNet's step with the slots of its rings computed on the device, so that one graph serves all times."""

    patterns = 1

    def __init__(self, network: WaveNet) -> None:
        self.network = network
        lengths = [layer.ring_length for layer in network.layers]
        kernel_size = network.layers[0].conv.kernel_size[0]
        device = network.end_1.weight.device
        back = torch.arange(kernel_size - 1, 0, -1, device=device)  # in dilations; the oldest first
        self._lengths = torch.tensor(lengths, device=device).unsqueeze(1)
        self._back = back * torch.tensor([layer.dilation for layer in network.layers], device=device).unsqueeze(1)
        self._skip_bias = torch.stack([_bias(layer.skip) for layer in network.layers]).sum(0)
        self._skip_weight = torch.cat([layer.skip.weight.detach().squeeze(-1) for layer in network.layers], dim=1)

    def pattern(self, time: int) -> int:
        """See Stepper."""
        return 0

    def step(self, pattern: int, code: Tensor, state: State, clock: Tensor) -> Tensor:
        """See Stepper."""
        assert isinstance(state, WaveNetState)
        slots = (clock - self._back) % self._lengths  # (layers, K - 1)
        x = self.network.start(code.unsqueeze(1)).squeeze(1)  # (B, C)
        gated = []
        for layer, ring, slot in zip(self.network.layers, state.rings, slots.unbind(), strict=True):
            inputs = torch.cat((ring.index_select(2, slot), x.unsqueeze(-1)), dim=-1)  # (B, C, K)
            ring.index_copy_(2, slot[:1], x.unsqueeze(-1))
            z = gate(apply_window(layer.conv.weight, layer.conv.bias, inputs))
            gated.append(z)
            if layer.residual is not None:
                x = x + F.linear(z, layer.residual.weight.squeeze(-1), layer.residual.bias)
        # the skips of all layers at once
        skip = F.linear(torch.cat(gated, dim=1), self._skip_weight, self._skip_bias)
        return self.network.end(skip)


def _bias(conv: torch.nn.Conv1d) -> Tensor:
    assert conv.bias is not None
    return conv.bias.detach()


@dataclass
class _Workspace:
    """The fixed tensors of graphs for one number of clips."""

    state: State
    logits: Tensor  # (B, Q)
    clock: Tensor  # (1,) int64, time of the newest code
    position: Tensor  # (1,) int64, samples drawn since the tensors below were last read
    uniform: Tensor  # (B, CAPACITY)
    codes: Tensor  # (B, CAPACITY) int64
    nats: Tensor  # (B, CAPACITY)

    @classmethod
    def like(cls, session: Session) -> "_Workspace":
        logits = session.logits
        room = (len(logits), CAPACITY)
        whole = torch.zeros(1, dtype=torch.int64, device=logits.device)
        return cls(
            state=session.state.map(torch.clone),
            logits=logits.clone(),
            clock=whole.clone(),
            position=whole.clone(),
            uniform=torch.zeros(room, dtype=torch.float64, device=logits.device),
            codes=torch.zeros(room, dtype=torch.int64, device=logits.device),
            nats=torch.zeros(room, dtype=torch.float32, device=logits.device),
        )


def _copy_state(to: State, source: State) -> None:
    """All tensors and the time, in place."""
    tensors: list[list[Tensor]] = [[], []]
    for found, state in zip(tensors, (to, source), strict=True):
        state.map(lambda tensor, found=found: found.append(tensor) or tensor)
    for target, tensor in zip(*tensors, strict=True):
        target.copy_(tensor)
    to.time = source.time


class GraphsEngine:
    """See Engine.

    Args:
        network: Any of the networks; make a new engine when its weights have changed.
    """

    name = "graphs"

    def __init__(self, network: Network) -> None:
        self._stepper: Stepper = WaveNetStepper(network) if isinstance(network, WaveNet) else SeqUNetStepper(network)
        self._drawing: Drawing | None = None
        self._work: _Workspace | None = None
        self._runs: list[Callable[[], None]] = []

    @torch.no_grad()
    def draw_block(self, session: Session, uniform: Tensor, drawing: Drawing) -> Block:
        """See Engine."""
        work = self._prepare(session, drawing)
        _copy_state(work.state, session.state)
        work.logits.copy_(session.logits)
        work.clock.fill_(session.state.time)
        time, codes, nats = session.state.time, [], []
        for piece in uniform.split(CAPACITY, dim=1):
            count = piece.shape[1]
            work.uniform[:, :count].copy_(piece)
            work.position.zero_()
            for _ in range(count):
                time += 1
                self._runs[self._stepper.pattern(time)]()
            codes.append(work.codes[:, :count].to(torch.uint8))
            nats.append(work.nats[:, :count].clone())
        work.state.time = time
        _copy_state(session.state, work.state)
        session.logits = work.logits.clone()
        session.drawn += uniform.shape[1]
        return Block(torch.cat(codes, dim=1), torch.cat(nats, dim=1))

    def _prepare(self, session: Session, drawing: Drawing) -> _Workspace:
        """Tensors and graphs for this number of clips and this way of drawing; those of the last block, if they fit."""
        work = self._work
        if work is None or work.logits.shape != session.logits.shape or drawing != self._drawing:
            self._work = work = _Workspace.like(session)
            self._drawing = drawing
            pool = torch.cuda.graph_pool_handle() if work.logits.is_cuda else None  # one graph runs at a time
            self._runs = [self._captured(pattern, work, drawing, pool) for pattern in range(self._stepper.patterns)]
        return work

    def _captured(
        self, pattern: int, work: _Workspace, drawing: Drawing, pool: "torch.cuda._POOL_HANDLE | None"
    ) -> Callable[[], None]:
        def run() -> None:
            self._run(pattern, work, drawing)

        if pool is None:
            return run
        side = torch.cuda.Stream(work.logits.device)  # libraries are to set themselves up before anything is captured
        side.wait_stream(torch.cuda.current_stream(work.logits.device))
        with torch.cuda.stream(side):
            for _ in range(3):
                work.position.zero_()
                run()
        torch.cuda.current_stream(work.logits.device).wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        # other threads, as the one that pins batches while a network trains, may go on meanwhile
        with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
            run()
        return graph.replay

    def _run(self, pattern: int, work: _Workspace, drawing: Drawing) -> None:
        """Draw one code of each clip and step; all on the device."""
        code = draw(work.logits, work.uniform.index_select(1, work.position).squeeze(1), drawing)
        nats = F.cross_entropy(work.logits, code, reduction="none")
        work.codes.index_copy_(1, work.position, code.unsqueeze(1))
        work.nats.index_copy_(1, work.position, nats.float().unsqueeze(1))
        work.clock += 1
        work.position += 1
        work.logits.copy_(self._stepper.step(pattern, code, work.state, work.clock))
