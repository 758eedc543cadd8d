"""The engine for many clips on a GPU: each step pattern of a network is one CUDA graph, which also draws the code.

The graphs work on fixed tensors: a session, the uniform numbers of a block, a position that the graph itself advances,
and the codes that it has drawn. For a sample the host only launches a graph; codes are read when a block is full. On
the CPU the same steps run without graphs, which is how they are tested there.
Letters: B clips, T time, Q = 256 classes, C channels, K kernel.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from sequnet_pl.errors import UserError
from sequnet_pl.models.layers import apply_window, bias_of, gate
from sequnet_pl.models.network import Network, State
from sequnet_pl.models.wavenet import WaveNet, WaveNetState
from sequnet_pl.sampling.draw import SamplingParams, draw
from sequnet_pl.sampling.engines.base import Block, Session
from sequnet_pl.sampling.engines.networks import is_described

CAPACITY = 4096
"""Samples that a graph can draw before its tensors are read; longer blocks are drawn in pieces of this size."""
_MOST_PATTERNS = 64

Step = Callable[[int, Tensor, State, Tensor], Tensor]
"""A pattern, the code (B,), the state and the time, int64 on the device, to the logits (B, Q): as `Network.step`."""


def _pattern_step(network: Network) -> Step:
    """Return the step of a network at the time of a pattern."""

    def step(pattern: int, code: Tensor, state: State, clock: Tensor) -> Tensor:
        state.time = pattern - 1  # the step advances it
        return network.step(code, state)

    return step


def _wavenet_step(network: WaveNet) -> Step:
    """Return the WaveNet's step with the slots of its rings computed on the device: one graph for all times."""
    layers = list(network.layers)
    device = network.end_1.weight.device
    lengths = torch.tensor([layer.ring_length for layer in layers], device=device).unsqueeze(1)
    lags = torch.arange(layers[0].conv.kernel_size[0] - 1, 0, -1, device=device)  # in dilations; the oldest first
    lags = lags * torch.tensor([layer.dilation for layer in layers], device=device).unsqueeze(1)
    skip_bias = torch.stack([bias_of(layer.skip).detach() for layer in layers]).sum(0)
    skip_weight = torch.cat([layer.skip.weight.detach().squeeze(-1) for layer in layers], dim=1)

    def step(pattern: int, code: Tensor, state: State, clock: Tensor) -> Tensor:
        assert isinstance(state, WaveNetState)
        slots = (clock - lags) % lengths  # (layers, K - 1)
        x = network.start(code.unsqueeze(1), labels=state.labels).squeeze(1)  # (B, C)
        gated = []
        for layer, ring, slot in zip(layers, state.rings, slots.unbind(), strict=True):
            inputs = torch.cat((ring.index_select(2, slot), x.unsqueeze(-1)), dim=-1)  # (B, C, K)
            ring.index_copy_(2, slot[:1], x.unsqueeze(-1))
            z = gate(apply_window(layer.conv.weight, layer.conv.bias, inputs))
            gated.append(z)
            if layer.residual is not None:
                x = x + F.linear(z, layer.residual.weight.squeeze(-1), layer.residual.bias)
        return network.end(F.linear(torch.cat(gated, dim=1), skip_weight, skip_bias))  # the skips of all layers at once

    return step


@dataclass
class _Buffers:
    """The fixed tensors of graphs for one number of clips."""

    session: Session
    clock: Tensor  # (1,) int64, time of the newest code
    position: Tensor  # (1,) int64, samples drawn since the tensors below were last read
    uniform: Tensor  # (B, CAPACITY)
    codes: Tensor  # (B, CAPACITY) int64
    nats: Tensor  # (B, CAPACITY)

    @classmethod
    def like(cls, session: Session) -> "_Buffers":
        logits = session.logits
        shape = (len(logits), CAPACITY)
        return cls(
            session=Session(logits.clone(), session.state.map(torch.clone)),
            clock=torch.zeros(1, dtype=torch.int64, device=logits.device),
            position=torch.zeros(1, dtype=torch.int64, device=logits.device),
            uniform=torch.zeros(shape, dtype=torch.float64, device=logits.device),
            codes=torch.zeros(shape, dtype=torch.int64, device=logits.device),
            nats=torch.zeros(shape, dtype=torch.float32, device=logits.device),
        )


def _copy_state(to: State, source: State) -> None:
    """Copy all tensors and the time, in place."""
    tensors: list[Tensor] = []
    source.map(lambda tensor: tensors.append(tensor) or tensor)
    copied = iter(tensors)
    to.map(lambda tensor: tensor.copy_(next(copied)))
    to.time = source.time


@functools.cache
def _side_stream(device: torch.device) -> "torch.cuda.Stream":
    """Return the stream of a GPU on which graphs are captured: one, as cuBLAS keeps a workspace for each."""
    return torch.cuda.Stream(device)


class GraphsEngine:
    """See Engine.

    Args:
        network: Any network of at most 64 step patterns, or a WaveNet.

    Raises:
        UserError: The network has more patterns.
    """

    name = "graphs"

    def __init__(self, network: Network) -> None:
        if isinstance(network, WaveNet) and is_described(network):
            self._step, self._pattern = _wavenet_step(network), lambda time: 0
        else:
            self._step, self._pattern = _pattern_step(network), network.pattern
        self._patterns = {self._pattern(time) for time in range(max(network.cycle, CAPACITY))}
        if len(self._patterns) > _MOST_PATTERNS:
            raise UserError(
                f"{type(network).__name__} has {len(self._patterns)} step patterns, and graphs are recorded for at "
                f"most {_MOST_PATTERNS}; use --engine eager"
            )
        self._prepared: object = None  # what the buffers and the runs are for
        self._buffers: _Buffers | None = None
        self._runs: dict[int, Callable[[], None]] = {}  # by pattern

    @torch.no_grad()
    def sample_block(self, session: Session, uniform: Tensor, params: SamplingParams) -> Block:
        """See Engine."""
        buffers = self._prepare(session, params)
        own = buffers.session
        _copy_state(own.state, session.state)
        own.logits.copy_(session.logits)
        buffers.clock.fill_(session.state.time)
        time, codes, nats = session.state.time, [], []
        for piece in uniform.split(CAPACITY, dim=1):
            count = piece.shape[1]
            buffers.uniform[:, :count].copy_(piece)
            buffers.position.zero_()
            for _ in range(count):
                time += 1
                self._runs[self._pattern(time)]()
            codes.append(buffers.codes[:, :count].to(torch.uint8))
            nats.append(buffers.nats[:, :count].clone())
        own.state.time = time
        _copy_state(session.state, own.state)
        session.logits = own.logits.clone()
        session.drawn += uniform.shape[1]
        return Block(torch.cat(codes, dim=1), torch.cat(nats, dim=1))

    def _prepare(self, session: Session, params: SamplingParams) -> _Buffers:
        """Return tensors and graphs for this number of clips and these parameters; the last ones if they fit."""
        needed = session.logits.shape, session.state.labels is None, params
        if self._buffers is None or needed != self._prepared:
            self._buffers = _Buffers.like(session)
            pool = torch.cuda.graph_pool_handle() if session.logits.is_cuda else None  # one graph runs at a time
            self._runs = {pattern: self._captured(pattern, self._buffers, params, pool) for pattern in self._patterns}
            self._prepared = needed
        return self._buffers

    def _captured(
        self, pattern: int, buffers: _Buffers, params: SamplingParams, pool: "torch.cuda._POOL_HANDLE | None"
    ) -> Callable[[], None]:
        def run() -> None:
            self._run(pattern, buffers, params)

        if pool is None:
            return run
        graph, side = torch.cuda.CUDAGraph(), _side_stream(buffers.clock.device)
        own = torch.cuda.current_stream(side.device)
        side.wait_stream(own)
        with torch.cuda.stream(side):  # on its device, which may not be the current one; left where the capture fails
            for _ in range(3):  # libraries initialise themselves before anything is captured
                buffers.position.zero_()
                run()
            # other threads, such as one that pins batches while a network trains, may use the GPU meanwhile
            with torch.cuda.graph(graph, pool=pool, stream=side, capture_error_mode="thread_local"):
                run()
        own.wait_stream(side)
        return graph.replay

    def _run(self, pattern: int, buffers: _Buffers, params: SamplingParams) -> None:
        """Draw one code of each clip and step; all on the device."""
        session, position = buffers.session, buffers.position
        code = draw(session.logits, buffers.uniform.index_select(1, position).squeeze(1), params)
        nats = F.cross_entropy(session.logits, code, reduction="none")
        buffers.codes.index_copy_(1, position, code.unsqueeze(1))
        buffers.nats.index_copy_(1, position, nats.float().unsqueeze(1))
        buffers.clock += 1
        position += 1
        session.logits.copy_(self._step(pattern, code, session.state, buffers.clock))
