"""Both networks as whole modules: wide channels, activations computed again and mixed precision change no result."""

import copy
import re

import pytest
import torch
from torch.nn import functional as F

from sequnet_pl.errors import UsageError
from sequnet_pl.models import frames, sequnet, wavenet
from sequnet_pl.models.layers import CodeConv, gate, gated_convolution
from sequnet_pl.models.sashimi import SaShiMi
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


NETWORKS = [
    lambda: SeqUNet(4, 6, 2, 5),
    lambda: SeqUNet(3, 4, [3, 1], 3, head=5),
    lambda: SeqUNet(3, 4, 2, 3, norm=True),
    lambda: WaveNet(4, 3, 6, 5, 9),
    lambda: WaveNet(3, 2, 6, 5, 9, 3),
]


@pytest.fixture(params=NETWORKS)
def network(request):
    torch.manual_seed(0)
    return request.param()


@pytest.fixture(params=[*NETWORKS, lambda: SeqUNet(4, 6, 1, 3, state=4), lambda: SaShiMi(4, 1, 4)])
def any_network(request):
    torch.manual_seed(0)
    return request.param()


@pytest.mark.parametrize(
    ("network", "shape", "message"),
    [
        (SeqUNet, {"levels": 0}, "levels is 0, but must be 1 or more"),
        (SeqUNet, {"levels": 2, "state": 4}, "levels is 2, but must be 3 or more with state 4"),
        (SeqUNet, {"state": 5}, "state is 5, but must be even and 0 or more"),
        (SeqUNet, {"state": 4, "score_context": -1}, "score_context is -1, but must be 0 or more"),
        (SeqUNet, {"features": 0}, "features is 0"),
        (SeqUNet, {"kernel_size": 4}, "kernel_size is 4, but must be odd"),
        (SeqUNet, {"kernel_size": 1}, "kernel_size is 1"),
        *((SeqUNet, {"depth": depth}, f"depth is {depth}") for depth in (-1, [2, 0], [], [1] * 12)),
        (SeqUNet, {"head": -1}, "head is -1"),
        *((WaveNet, {name: 0}, f"{name} is 0") for name in ("layers", "blocks", "kernel_size")),
        *((WaveNet, {name: 0}, f"{name} is 0") for name in ("dilation_channels", "skip_channels")),
        (SaShiMi, {"state": 0}, "state is 0, but must be even and 2 or more"),
        (SaShiMi, {"blocks": 0}, "blocks is 0, but must be 1 or more"),
    ],
)
def test_shapes_that_make_no_sense_are_refused(network, shape, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        network(**shape)


@pytest.mark.parametrize(
    ("channels", "wide"), [(180, 192), (64, 64), (57, 64), (56, 56), (5, 8), (512, 512), (100, 104)]
)
def test_widths_that_tensor_cores_like(channels, wide):
    assert frames.width(channels, torch.device("cuda")) == wide
    assert frames.width(channels, torch.device("cpu")) == channels


def test_wide_channels_change_nothing(network, monkeypatch):
    """The pad is zeros and stays zeros, whatever reads it; parameters, gradients and states keep the real width."""
    network.double()
    codes = random_codes(2, network.window(60).inputs)
    results = [(*loss_and_gradients(network, codes), network(codes))]
    seen = []

    def widen(channels, device):
        seen.append(channels)
        return channels + 3

    for module in (sequnet, wavenet):
        monkeypatch.setattr(module, "width", widen)
    results.append((*loss_and_gradients(network, codes), network(codes)))
    assert seen
    (loss, gradients, logits), (wide_loss, wide_gradients, wide_logits) = results
    assert wide_loss == pytest.approx(loss, rel=1e-12)
    torch.testing.assert_close(wide_logits, logits, rtol=0, atol=1e-12)
    for actual, expected, parameter in zip(wide_gradients, gradients, network.parameters(), strict=True):
        assert actual.shape == parameter.shape
        torch.testing.assert_close(actual, expected, rtol=0, atol=1e-12)
    before = network.prefill(codes)
    monkeypatch.undo()
    after = network.prefill(codes)
    assert torch.equal(before[0], after[0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("stride", "dilation", "frames_in"), [(1, 1, 20), (2, 1, 20), (2, 1, 21), (1, 3, 30)])
@pytest.mark.parametrize("features", [6, 64])  # filter and gate as one convolution, and as two
def test_gated_convolutions_are_those_of_torch(dtype, stride, dilation, frames_in, features):
    x, bias = torch.randn(2, frames_in, features), torch.randn(2 * features)
    weight = torch.randn(2 * features, features, 5) / features**0.5
    given = [leaf.to(dtype).requires_grad_() for leaf in (x, weight, bias)]
    leaves = [leaf.requires_grad_() for leaf in (x, weight, bias)]
    expected = gate(F.conv1d(x.transpose(1, 2), weight, bias, stride, dilation=dilation).transpose(1, 2))
    actual = gated_convolution(given[0], given[1], given[2], stride, dilation)
    tolerance = 1e-4 if dtype == torch.float32 else 0.5
    torch.testing.assert_close(actual.float(), expected, rtol=0, atol=tolerance)
    cost = torch.randn_like(expected)
    wanted = torch.autograd.grad(expected, leaves, cost)
    got = torch.autograd.grad(actual, given, cost.to(dtype))
    for one, other in zip(got, wanted, strict=True):
        torch.testing.assert_close(one.float(), other, rtol=0, atol=tolerance)


def test_dilated_products_are_a_convolution_of_torch():
    x, weight, bias = torch.randn(2, 20, 6), torch.randn(8, 6, 5), torch.randn(8)
    dilated = F.conv1d(x.transpose(1, 2), weight, bias, dilation=3).transpose(1, 2)
    torch.testing.assert_close(frames.convolve_by_products(x, weight, bias, 3), dilated, rtol=0, atol=1e-4)


def test_a_table_row_sums_up_in_full_precision():
    """In bfloat16 the gradient of a row that is read more than 256 times would stand still."""
    layer = CodeConv(3)
    with torch.autocast("cpu", torch.bfloat16):
        out = layer(torch.full((1, 5000), 128, dtype=torch.uint8))
    assert out.dtype == torch.bfloat16  # else it would drag the whole residual stream along
    out.backward(torch.ones_like(out))
    assert layer.weight.grad[0, 128].tolist() == [5000.0] * 3


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_checkpointed_activations_change_no_bit(any_network, dtype):
    codes = random_codes(2, any_network.window(600).inputs)
    results = []
    for any_network.checkpoint_activations in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype != torch.float32):
            results.append(loss_and_gradients(any_network, codes))
    (loss, gradients), (checkpointed_loss, checkpointed) = results
    assert loss == checkpointed_loss
    assert all(torch.equal(a, b) for a, b in zip(gradients, checkpointed, strict=True))


def kept_for_backward(network, codes):
    """Bytes that the backward pass keeps, without the parameters."""
    sizes = {}

    def note(x):
        sizes[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
        return x

    with torch.autograd.graph.saved_tensors_hooks(note, lambda x: x):
        network(codes)
    for parameter in network.parameters():
        sizes.pop(parameter.data_ptr(), None)
    return sum(sizes.values())


def test_checkpointed_activations_are_not_kept(network):
    codes = random_codes(2, network.window(2000).inputs)
    all_kept = kept_for_backward(network, codes)
    network.checkpoint_activations = True
    assert kept_for_backward(network, codes) < 0.7 * all_kept


def test_bfloat16_gradients_are_those_of_float32_to_its_precision(network):
    codes = random_codes(2, network.window(600).inputs)
    loss, gradients = loss_and_gradients(network, codes)
    with torch.autocast("cpu", torch.bfloat16):
        mixed_loss, mixed = loss_and_gradients(network, codes)
    assert mixed_loss == pytest.approx(loss, rel=1e-2)
    for actual, expected in zip(mixed, gradients, strict=True):
        assert actual.dtype == torch.float32
        assert (actual - expected).norm() <= 0.1 * expected.norm()


def test_a_copy_computes_with_its_own_weights(network):
    codes = random_codes(1, network.window(8).inputs)
    other = copy.deepcopy(network)
    with torch.no_grad():
        next(other.parameters()).add_(1)
        assert not torch.equal(network(codes), other(codes))
