"""Shared by all tests: few threads, for several test processes on few cores, and the small networks."""

import pytest
import torch

from sequnet_pl.models.network import Network
from sequnet_pl.models.sequnet import SeqUNet
from sequnet_pl.models.wavenet import WaveNet

torch.set_num_threads(2)

NETWORKS = {
    "sequnet-l4-d2-k5": lambda: SeqUNet(4, 6, 2, 5),
    "sequnet-l5-d1-k3": lambda: SeqUNet(5, 4, 1, 3),
    "sequnet-l2-d3-k7": lambda: SeqUNet(2, 5, 3, 7),
    "sequnet-l1": lambda: SeqUNet(1, 4, 2, 3),
    "wavenet-4x2": lambda: WaveNet(4, 2, 6, 5, 9),
    "wavenet-3x3-k3": lambda: WaveNet(3, 3, 4, 4, 6, 3),
}


@pytest.fixture(params=NETWORKS.values(), ids=NETWORKS.keys())
def network(request: pytest.FixtureRequest) -> Network:
    """Each small network in turn, float64, with weights large enough that a wrong phase shows."""
    torch.manual_seed(0)
    network = request.param().double()
    for parameter in network.parameters():
        parameter.data *= 2
    return network
