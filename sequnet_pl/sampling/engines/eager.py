"""The reference: the network's own step and one operator after the other. Any network, device and type."""

import torch
from torch import Tensor

from sequnet_pl.models.network import Network
from sequnet_pl.sampling.draw import Drawing, draw
from sequnet_pl.sampling.engines.base import Block, Session


class EagerEngine:
    """See Engine."""

    name = "eager"

    def __init__(self, network: Network) -> None:
        self.network = network

    @torch.no_grad()
    def draw_block(self, session: Session, uniform: Tensor, drawing: Drawing) -> Block:
        """See Engine."""
        codes = torch.empty(uniform.shape, dtype=torch.uint8, device=uniform.device)
        nats = torch.empty(uniform.shape, dtype=torch.float32, device=uniform.device)
        for index in range(uniform.shape[1]):
            code = draw(session.logits, uniform[:, index], drawing)
            codes[:, index] = code
            nats[:, index] = torch.nn.functional.cross_entropy(session.logits, code, reduction="none")
            session.logits = self.network.step(code, session.state)
            session.drawn += 1
        return Block(codes, nats)
