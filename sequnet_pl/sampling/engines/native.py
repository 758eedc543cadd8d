"""The fast CPU engine: whole blocks in compiled kernels, on as many threads as torch uses (two share a step well).

What it draws does not depend on the number of clips or threads, nor on where blocks end, not even by rounding.
"""

import ctypes

import torch
from torch import Tensor

from sequnet_pl.models.network import Network
from sequnet_pl.models.sequnet import SeqUNet
from sequnet_pl.models.wavenet import WaveNet
from sequnet_pl.sampling.draw import Drawing
from sequnet_pl.sampling.engines.base import Block, Session
from sequnet_pl.sampling.engines.packing import WeightType
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

    @torch.no_grad()
    def draw_block(self, session: Session, uniform: Tensor, drawing: Drawing) -> Block:
        """See Engine."""
        clips, samples = uniform.shape
        uniform = uniform.contiguous()
        session.logits = session.logits.clone(memory_format=torch.contiguous_format)
        block = Block(torch.empty(clips, samples, dtype=torch.uint8), torch.empty(clips, samples))
        job = JobStruct(
            logits=session.logits.data_ptr(),
            uniform=uniform.data_ptr(),
            codes=block.codes.data_ptr(),
            nats=block.nats.data_ptr(),
            clips=clips,
            samples=samples,
            threads=min(torch.get_num_threads(), self._program.most_threads),
            drawing=DrawingStruct(drawing.temperature, drawing.top_p, drawing.top_k),
        )
        self._program.run(job, session.state)
        session.drawn += samples
        return block
