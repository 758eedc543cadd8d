"""Our networks compute what the published implementation computes: its figures, seeded and small."""

import csv
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from sequnet_pl.errors import UserError
from sequnet_pl.models.published import network_from_weights, to_published
from sequnet_pl.models.sequnet import SeqUNet
from sequnet_pl.models.wavenet import WaveNet

FIXTURES = Path(__file__).parents[2] / "fixtures"


@pytest.fixture(params=sorted(FIXTURES.glob("*_*.npz")), ids=lambda path: path.stem)
def reference(request):
    with np.load(request.param) as file:
        arrays = dict(file)
    reference = SimpleNamespace(**json.loads(str(arrays.pop("meta"))), weights={}, gradients={})
    for name, array in arrays.items():
        group, _, key = name.partition(":")
        if key:
            {"weight": reference.weights, "grad": reference.gradients}[group][key] = torch.from_numpy(array)
        else:
            setattr(reference, name, torch.from_numpy(array))
    reference.network = network_from_weights(reference.weights, layers=reference.config.get("layers", 13))
    return reference


def close(actual, expected, tolerance=1e-4):
    torch.testing.assert_close(actual, expected.to(actual.dtype), rtol=0, atol=tolerance)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_logits_loss_and_gradients(reference, dtype):
    network = reference.network.to(dtype)
    assert network.window(1) == (reference.first_window, reference.first_outputs)
    close(network(reference.tokens[:, : reference.first_window]), reference.logits_first)
    logits = network(reference.tokens)
    close(logits, reference.logits_full)
    loss = torch.nn.functional.cross_entropy(logits, reference.targets.long())
    assert loss.item() == pytest.approx(reference.loss, rel=1e-5)
    loss.backward()
    gradients = to_published(network, {name: value.grad for name, value in network.named_parameters()})
    assert reference.gradients.keys() >= gradients.keys() - set(reference.no_gradient)
    for name, expected in reference.gradients.items():
        close(gradients[name], expected, 1e-4 * expected.abs().max().item())


def test_stream(reference):
    network = reference.network
    logits, state = network.prefill(reference.tokens[:, : reference.first_window])
    close(logits, reference.logits_first[..., -1])
    for index in range(reference.stream_steps):
        logits = network.step(reference.tokens[:, reference.first_window + index], state)
        close(logits, reference.logits_stream[..., index])


def test_names_both_ways(reference):
    back = to_published(reference.network)
    assert back.keys() == reference.weights.keys()
    for name, weight in reference.weights.items():
        assert torch.equal(back[name], torch.zeros_like(weight) if name in reference.no_gradient else weight)
    ours = sum(parameter.numel() for parameter in reference.network.parameters())
    assert ours == reference.parameters - sum(reference.weights[name].numel() for name in reference.no_gradient)


def test_prefix_of_parallel_training_is_dropped(reference):
    prefixed = {f"module.{name}": weight for name, weight in reference.weights.items()}
    network = network_from_weights(prefixed, layers=reference.config.get("layers", 13))
    assert torch.equal(network(reference.tokens), reference.network(reference.tokens))


def test_wrong_weights_are_told(reference):
    renamed = dict(reference.weights) | {"strange.weight": torch.zeros(1)}
    with pytest.raises(UserError, match=r"strange\.weight"):
        network_from_weights(renamed, layers=reference.config.get("layers", 13))
    first = next(name for name in reference.weights if name in ("input_conv.weight", "start_conv.weight"))
    for other in ({"fc.weight": torch.zeros(2, 2)}, {first: torch.zeros(2)}, {first: torch.zeros(2, 255, 3)}):
        with pytest.raises(UserError, match="not the weights of a published network"):
            network_from_weights(other)
    missing = dict(reference.weights)
    missing.pop(next(name for name in missing if name.endswith("1.bias")))
    with pytest.raises(UserError):
        network_from_weights(missing, layers=reference.config.get("layers", 13))


def test_layers_that_do_not_divide_a_wavenet_name_those_that_do():
    weights = to_published(WaveNet(3, 2, 2, 2, 2))
    with pytest.raises(UserError, match="1, 2, 3, 6"):
        network_from_weights(weights, layers=4)


def test_window_sizes():
    with (FIXTURES / "sequnet_window_sizes.csv").open() as file:
        rows = [tuple(int(value) for value in row.values()) for row in csv.DictReader(file)]
    assert len(rows) == 40
    for levels, depth, kernel_size, asked, inputs, outputs in rows:
        assert SeqUNet(levels, 1, depth, kernel_size).window(asked) == (inputs, outputs)


def test_published_sizes():
    sequnet, wavenet = SeqUNet(), WaveNet()
    assert sum(parameter.numel() for parameter in sequnet.parameters()) == 26_867_236
    assert sum(parameter.numel() for parameter in wavenet.parameters()) == 8_124_672
    assert sum(weight.numel() for weight in to_published(wavenet).values()) == 8_141_184
    assert (sequnet.cycle, sequnet.receptive_field, sequnet.window(5000)) == (1024, 32_749, (36_857, 5120))
    assert (wavenet.cycle, wavenet.receptive_field, wavenet.window(5000).inputs) == (1, 32_765, 37_764)


@pytest.mark.parametrize("lacked", [{"norm": True}, {"depth": [2, 1]}, {"head": 4}, {"levels": 3, "state": 2}])
def test_what_the_published_network_lacks_is_not_converted(lacked):
    with pytest.raises(UserError, match="no norm, head or state, and one depth"):
        to_published(SeqUNet(**{"levels": 2, "features": 3} | lacked))


def test_the_last_depth_of_a_list_goes_on_to_the_deepest_level():
    assert SeqUNet(5, 3, [3, 2, 1], 3).depths == [3, 2, 1, 1, 1]
