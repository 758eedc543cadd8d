"""TF32 on a GPU is set in one place, and restored."""

import sys

import pytest
import torch

from sequnet_pl.models.precision import float32_products
from sequnet_pl.models.sequnet import SeqUNet
from sequnet_pl.models.wavenet import WaveNet
from sequnet_pl.sampling.draw import CounterRng, SamplingParams
from sequnet_pl.sampling.engines import EagerEngine
from sequnet_pl.sampling.generate import extend, start


def flags():
    return torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32


@pytest.fixture(autouse=True)
def both_allowed():
    """As while a network trains."""
    before = flags()
    with float32_products(tf32=True):
        yield
    assert flags() == before


def test_both_libraries_are_told_and_told_back():
    with float32_products(tf32=False):
        assert flags() == (False, False)
        with float32_products(tf32=True):
            assert flags() == (True, True)
        assert flags() == (False, False)
    assert flags() == (True, True)
    with pytest.raises(RuntimeError, match="torn"), float32_products(tf32=False):
        raise RuntimeError("torn")
    assert flags() == (True, True)


@pytest.mark.parametrize("network", [SeqUNet(3, 4, 1, 3), WaveNet(2, 2, 4, 4, 4)])
def test_states_and_steps_are_exact_whatever_training_is_allowed(network):
    seen = []
    for module in network.modules():
        module.register_forward_pre_hook(lambda *_: seen.append(flags()))
    codes = torch.full((1, 5), 100)
    _, state = network.prefill(codes)
    network.step(codes[:, 0], network.silence(1))
    network.step(codes[:, 0], state)
    assert seen and set(seen) == {(False, False)}
    assert flags() == (True, True)


def test_sampling_is_exact_between_blocks_and_lets_training_be(monkeypatch):
    monkeypatch.setattr(sys.modules[extend.__module__], "BLOCK", 5)
    network, seen = WaveNet(2, 2, 4, 4, 4), []

    class Looking(EagerEngine):
        def sample_block(self, session, uniform, params):
            seen.append(flags())
            return super().sample_block(session, uniform, params)

    session = start(network, None, 1)
    for _ in extend(network, session, CounterRng(0, range(1)), SamplingParams(), 8, Looking(network)):
        assert flags() == (True, True)
    assert seen == [(False, False)] * 2


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
@pytest.mark.parametrize("build", [lambda: SeqUNet(3, 180, 1, 5), lambda: WaveNet(4, 2, 128, 128, 512)])
def test_steps_equal_a_window_while_a_network_trains(build):
    torch.manual_seed(0)
    network, steps = build().cuda(), 16
    codes = torch.randint(256, (2, network.window(1).inputs + steps), device="cuda")
    prompt, after = codes[:, :-steps], codes[:, -steps:]
    _, state = network.prefill(prompt)
    stepped = torch.stack([network.step(code, state) for code in after.unbind(1)], dim=-1)
    exact = network.double()(codes)[..., -steps:]
    torch.testing.assert_close(stepped, exact.float(), rtol=0, atol=1e-4)
