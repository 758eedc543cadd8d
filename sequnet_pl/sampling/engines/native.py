"""The fast CPU engine: whole blocks in compiled kernels, on as many threads as torch may use, or on one.

What it draws does not depend on the number of clips or threads, nor on where blocks end, not even by rounding.
"""

import ctypes

import torch
from torch import Tensor

from sequnet_pl.models.network import Network
from sequnet_pl.models.sequnet import SeqUNet
from sequnet_pl.models.wavenet import WaveNet
from sequnet_pl.names import WeightType
from sequnet_pl.sampling.draw import Drawing
from sequnet_pl.sampling.engines.base import Block, Session
from sequnet_pl.sampling.engines.pace import Pace
from sequnet_pl.sampling.engines.programs import DrawingStruct, JobStruct, Program, SeqUNetProgram, WaveNetProgram


def supports(network: Network) -> bool:
    """Whether the kernels know this network: one of the two, in float32 and on the CPU."""
    weights = list(network.parameters())
    known = isinstance(network, SeqUNet | WaveNet)
    return known and all(weight.dtype == torch.float32 and weight.device.type == "cpu" for weight in weights)


class NativeEngine:
    """See Engine.

    Args:
        network: A network that is supported; later changes to its weights are not seen.
        weights: Type that the weights are kept in; less than float32 is quicker and changes the logits a little.
        kernels: The compiled kernels, see build.py.
    """

    name = "native"

    def __init__(self, network: Network, weights: WeightType, kernels: ctypes.CDLL) -> None:
        if isinstance(network, SeqUNet):
            self._program: Program = SeqUNetProgram(network, weights, kernels)
        elif isinstance(network, WaveNet):
            self._program = WaveNetProgram(network, weights, kernels)
        else:
            raise TypeError(f"the compiled kernels do not know {type(network).__name__}")

        self._pace = Pace()

    @torch.no_grad()
    def draw_block(self, session: Session, uniform: Tensor, drawing: Drawing) -> Block:
        """See Engine."""
        session.logits = session.logits.clone(memory_format=torch.contiguous_format)
        most = min(torch.get_num_threads(), self._program.most_threads)
        pieces, begin = [], 0
        for samples, threads in self._pace.pieces(uniform.shape[1], most):
            pieces.append(self._draw(session, uniform[:, begin : begin + samples].contiguous(), drawing, threads))
            begin += samples
        session.drawn += begin
        return Block(torch.cat([piece.codes for piece in pieces], dim=1), torch.cat([p.nats for p in pieces], dim=1))

    def _draw(self, session: Session, uniform: Tensor, drawing: Drawing, threads: int) -> Block:
        block = Block(torch.empty(uniform.shape, dtype=torch.uint8), torch.empty(uniform.shape))
        job = JobStruct(
            logits=session.logits.data_ptr(),
            uniform=uniform.data_ptr(),
            codes=block.codes.data_ptr(),
            nats=block.nats.data_ptr(),
            clips=uniform.shape[0],
            samples=uniform.shape[1],
            threads=threads,
            drawing=DrawingStruct(drawing.temperature, drawing.top_p, drawing.top_k),
        )
        self._program.run(job, session.state)
        return block
