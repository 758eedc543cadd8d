"""Layers with their own backward give what autograd gives, keep little, and what is recomputed changes no bit."""

import pytest
import torch
from torch.nn import functional as F

from sequnet_pl.models import convolution, layers, levels
from sequnet_pl.models.lookups import lookup
from sequnet_pl.models.sequnet import SeqUNet
from sequnet_pl.models.wavenet import WaveNet


def random_codes(*shape):
    return torch.randint(256, shape, generator=torch.Generator().manual_seed(1)).to(torch.uint8)


def loss_and_gradients(network, codes):
    network.zero_grad()
    logits = network(codes)
    loss = F.cross_entropy(logits.float(), torch.full((len(codes), logits.shape[-1]), 100))
    loss.backward()
    return loss.item(), [parameter.grad.clone() for parameter in network.parameters()]


def plain_gated_conv(layer, x, condition=None):
    """The layer in ordinary operations: what autograd differentiates by itself."""
    inputs = x if condition is None else torch.cat((x, layers.crop(condition, x)), dim=1)
    stride, reach = layer.conv.stride[0], layer.conv.kernel_size[0] - 1
    start = (x.shape[-1] - reach - 1) % stride
    return x[..., start + reach :: stride] + layers.gate(layer.conv(inputs[..., start:]))


@pytest.mark.parametrize(("stride", "conditioned"), [(1, False), (2, False), (1, True)])
@pytest.mark.parametrize("frames", [20, 21])
def test_gated_conv_has_the_gradients_of_autograd(stride, conditioned, frames):
    torch.manual_seed(0)
    layer = layers.GatedConv(4, 5, stride, conditioned).double()
    inputs = [torch.randn(2, 4, length, dtype=torch.float64, requires_grad=True) for length in (frames, 24)]
    inputs = inputs[: 1 + conditioned]
    results = []
    for function in (layer, lambda *inputs: plain_gated_conv(layer, *inputs)):
        out = function(*inputs)
        gradients = torch.autograd.grad(out.square().sum(), [*inputs, *layer.parameters()])
        results.append([out, *gradients])
    for actual, expected in zip(*results, strict=True):
        torch.testing.assert_close(actual, expected, rtol=0, atol=1e-12)


def test_a_second_derivative_is_refused():
    x = torch.randn(1, 3, 9, requires_grad=True)
    (gradient,) = torch.autograd.grad(layers.GatedConv(3, 3)(x).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize(("inputs", "kept"), [(1400, 1386), (1401, 1387), (1400, 1385), (1401, 601), (1400, 20)])
def test_the_finest_level_in_parts_is_what_its_layers_give(parts, inputs, kept, monkeypatch):
    """Tables for two convolutions, parts of time, activations computed again: the same values, the same gradients."""
    monkeypatch.setattr(levels, "_PARTS", parts)
    torch.manual_seed(0)
    network = SeqUNet(4, 6, 2, 5).double()
    level, codes = network.levels[0], random_codes(2, inputs)
    weights = torch.randn(2, 6, kept).double(), torch.randn(2, 6, (inputs - 15) // 2).double()
    assert codes.numel() > 2 * layers.CLASSES * 5  # else the layers are computed one by one
    parameters = [*network.input_conv.parameters(), *level.down.parameters(), *level.strided.parameters()]
    results = []
    for again in (None, False, True):
        monkeypatch.setattr(levels, "_MUCH", 0 if again else 1 << 40)
        if again is None:
            found = level.descend(network.input_conv(codes), kept)
        else:
            found = level.enter(codes, kept, network.input_conv, network._run)
        loss = sum((x * weight).sum() for x, weight in zip(found, weights, strict=True))
        results.append([*found, *torch.autograd.grad(loss, parameters)])
    for expected, kept_at_once, again in zip(*results, strict=True):
        assert torch.equal(kept_at_once, again)
        torch.testing.assert_close(again, expected, rtol=0, atol=1e-12)


def test_a_table_row_sums_up_in_full_precision():
    """In bfloat16 the gradient of a row that is read more than 256 times would stand still."""
    table = torch.zeros(1, 256, 3, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        out = lookup(torch.full((1, 5000), 128, dtype=torch.uint8), table, torch.zeros(3))
    assert out.dtype == torch.bfloat16
    out.backward(torch.ones_like(out))
    assert table.grad[0, 128].tolist() == [5000.0] * 3


NETWORKS = [lambda: SeqUNet(4, 6, 2, 5), lambda: SeqUNet(3, 4, 1, 3), lambda: WaveNet(4, 3, 6, 5, 9)]


@pytest.mark.parametrize("build", NETWORKS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_checkpointed_activations_change_no_bit(build, dtype):
    torch.manual_seed(0)
    network = build()
    codes = random_codes(2, network.window(600).inputs)
    results = []
    for network.checkpoint_activations in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype != torch.float32):
            results.append(loss_and_gradients(network, codes))
    (loss, gradients), (checkpointed_loss, checkpointed) = results
    assert loss == checkpointed_loss
    assert all(torch.equal(a, b) for a, b in zip(gradients, checkpointed, strict=True))


@pytest.mark.parametrize("build", NETWORKS)
@pytest.mark.parametrize("crops", [1, 2])
def test_pieces_of_time_change_nothing(build, crops, monkeypatch):
    torch.manual_seed(0)
    network = build().double()
    codes = random_codes(crops, network.window(600).inputs)
    results = []
    for piece in (10**9, 160):
        monkeypatch.setattr(convolution, "_PIECE", piece)
        results.append(loss_and_gradients(network, codes))
    assert len(convolution.pieces(torch.zeros(1, 1, 1).double(), 601)) > 20
    (loss, gradients), (pieces_loss, in_pieces) = results
    assert pieces_loss == pytest.approx(loss, rel=1e-12)
    for actual, expected in zip(in_pieces, gradients, strict=True):
        torch.testing.assert_close(actual, expected, rtol=0, atol=1e-12)


def test_a_wavenet_has_the_gradients_of_autograd():
    torch.manual_seed(0)
    network = WaveNet(3, 2, 6, 5, 9, 3).double()
    codes = random_codes(2, network.window(50).inputs)
    _, gradients = loss_and_gradients(network, codes)
    x, total = network.start(codes), 0
    for layer in network.layers:
        z = layers.gate(layer.conv(x))
        total = total + layer.skip(z)[..., -50:]
        x = layer.residual(z) + layers.crop(x, z) if layer.residual else x
    loss = F.cross_entropy(network._end(total).float(), torch.full((2, 50), 100))
    for actual, expected in zip(gradients, torch.autograd.grad(loss, [*network.parameters()]), strict=True):
        torch.testing.assert_close(actual, expected, rtol=0, atol=1e-12)


def kept_for_backward(network, codes):
    """Numbers in what the backward pass keeps, without the parameters."""
    sizes = {}
    with torch.autograd.graph.saved_tensors_hooks(lambda x: sizes.update({x.data_ptr(): x.numel()}) or x, lambda x: x):
        network(codes)
    for parameter in network.parameters():
        sizes.pop(parameter.data_ptr(), None)
    return sum(sizes.values())


def test_a_wavenet_keeps_two_numbers_a_frame_and_channel():
    network = WaveNet(6, 1, 8, 8, 8)
    codes = random_codes(1, network.window(5000).inputs)
    assert kept_for_backward(network, codes) < (2 * 6 + 4.5) * 8 * codes.numel()  # 4 around the block of 6 layers


def test_where_it_is_much_the_finest_level_keeps_its_codes_alone(monkeypatch):
    network = SeqUNet(4, 6, 2, 5)
    codes = random_codes(1, network.window(5000).inputs)
    all_kept = kept_for_backward(network, codes)
    monkeypatch.setattr(levels, "_MUCH", 0)
    # the first features, tanh and sigmoid of the second layer, and of the strided one, which has half the frames
    assert all_kept - kept_for_backward(network, codes) > (1 + 2 + 1) * 6 * 5000


@pytest.mark.parametrize("build", NETWORKS)
def test_bfloat16_gradients_are_those_of_float32_to_its_precision(build):
    torch.manual_seed(0)
    network = build()
    codes = random_codes(2, network.window(600).inputs)
    loss, gradients = loss_and_gradients(network, codes)
    with torch.autocast("cpu", torch.bfloat16):
        mixed_loss, mixed = loss_and_gradients(network, codes)
    assert mixed_loss == pytest.approx(loss, rel=1e-2)
    for actual, expected in zip(mixed, gradients, strict=True):
        assert actual.dtype == torch.float32
        assert (actual - expected).norm() <= 0.1 * expected.norm()
