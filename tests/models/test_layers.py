"""How layers start."""

import pytest
import torch

from sequnet_pl.audio.mulaw import CLASSES
from sequnet_pl.models.layers import CodeConv, RMSNorm


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


@pytest.mark.parametrize("scale", [1e-4, 1, 1e4])
@pytest.mark.parametrize("padding", [0, 3])
def test_frames_have_mean_square_1_over_the_real_channels(scale, padding):
    x = scale * torch.randn(2, 9, 5, dtype=torch.float64)
    expected = x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt()
    wide = torch.nn.functional.pad(x, (0, padding))
    torch.testing.assert_close(RMSNorm(5)(wide)[..., :5], expected, rtol=1e-12, atol=0)
    assert not RMSNorm(5)(torch.zeros(2, 5 + padding)).any()


def test_a_norm_is_computed_in_float32():
    """In float16 squares of more than 255 are infinite, and those of less than 0.0002 nothing."""
    x = torch.tensor([[1000.0, -1000.0, 500.0], [0.001, 0.001, -0.001]], dtype=torch.float16)
    with torch.autocast("cpu", torch.bfloat16):
        out = RMSNorm(3)(x)
    assert out.dtype == torch.float16
    torch.testing.assert_close(out.float(), RMSNorm(3)(x.double()).float(), rtol=1e-3, atol=0)
