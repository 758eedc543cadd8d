"""How layers start."""

import torch

from sequnet_pl.audio.mulaw import CLASSES
from sequnet_pl.models.layers import CodeConv


def test_smooth_rows_are_alike_for_neighbours_only():
    torch.manual_seed(0)
    layer = CodeConv(400, 3)
    layer.start_smooth(10.0)
    rows = layer.weight[1] / layer.weight[1].norm(dim=1, keepdim=True)
    likeness = rows @ rows.T
    # the cosine of two codes a distance d apart is exp(-(10 d)^2 / 2) in the limit of many channels
    distance = torch.arange(CLASSES) * 2 / (CLASSES - 1)
    expected = torch.exp(-((10 * distance) ** 2) / 2)
    assert (likeness[0] - expected).abs().max() < 0.2
    assert likeness[100, 101] > 0.99
    assert not torch.equal(layer.weight[0], layer.weight[1])


def test_rows_start_unrelated_as_published():
    torch.manual_seed(0)
    rows = CodeConv(400).weight[0]
    rows = rows / rows.norm(dim=1, keepdim=True)
    assert (rows @ rows.T - torch.eye(CLASSES)).abs().max() < 0.3
