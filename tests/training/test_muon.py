"""Muon's steps are orthogonal, AdamW moves the other weights; with both, a run resumes exactly."""

import signal

import pytest
import torch
from short_runs import At, same_weights
from torch import nn

from sequnet_pl.training.module import SeqUNetModule, WaveNetModule
from sequnet_pl.training.muon import orthogonal

TINY = {
    "sequnet": lambda **kwargs: SeqUNetModule(3, 8, 1, 3, head=6, muon=0.02, **kwargs),
    "wavenet": lambda **kwargs: WaveNetModule(4, 2, 16, 6, 10, muon=0.02, **kwargs),
}


@pytest.fixture(params=TINY)
def module(request):
    torch.manual_seed(0)
    return TINY[request.param](lr=1e-3)


def steps(module, count=1):
    """Iterate over the changes (before, after) of all parameters, by name, in steps with random gradients."""
    optimizer = module.configure_optimizers()["optimizer"]
    generator = torch.Generator().manual_seed(1)
    for _ in range(count):
        for parameter in module.parameters():
            parameter.grad = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
        before = {name: parameter.detach().clone() for name, parameter in module.network.named_parameters()}
        optimizer.step()
        yield {name: (before[name], parameter.detach()) for name, parameter in module.network.named_parameters()}


def matrices(weight, count):
    return weight.unflatten(0, (count, -1)).flatten(2)


@pytest.mark.parametrize(("shape", "scale"), [((3, 8, 40), 1), ((3, 40, 8), 1e6), ((2, 7, 7), 1e-12)])
def test_newton_schulz_leaves_directions_and_makes_them_equally_long(shape, scale):
    torch.manual_seed(0)
    left, _, right = torch.linalg.svd(torch.randn(shape, dtype=torch.float64), full_matrices=False)
    values = torch.linspace(0.2, 1, left.shape[-1], dtype=torch.float64)
    found = orthogonal(scale * left * values @ right)
    inside = left.mT @ found @ right.mT
    lengths = torch.diagonal(inside, dim1=1, dim2=2)
    assert lengths.min() > 0.6 and lengths.max() < 1.3
    torch.testing.assert_close(inside, torch.diag_embed(lengths), rtol=0, atol=1e-9)
    torch.testing.assert_close(orthogonal(found.float().repeat(2, 1, 1))[: shape[0]], orthogonal(found.float()))


def test_each_matrix_moves_by_itself(module):
    """Filter and gate, even and odd taps: each steps along its own Nesterov momentum, times rate and shape factor."""
    weights = module.network.matrices()
    counts = {id(weight): count for count, some in weights.items() for weight in some}
    names = {name for name, parameter in module.network.named_parameters() if id(parameter) in counts}
    expected = {name for name, parameter in module.network.named_parameters() if parameter.dim() == 3}
    ends = {"hidden_conv.weight", "output_conv.weight", "end_2.weight"}
    assert names == expected - {"input_conv.weight", "start.weight"} - ends
    parameters = dict(module.network.named_parameters())
    momenta = {name: torch.zeros_like(parameters[name]) for name in names}
    for changes in steps(module, 3):
        for name in names:
            (before, after), count, gradient = changes[name], counts[id(parameters[name])], parameters[name].grad
            momenta[name] = 0.95 * momenta[name] + 0.05 * gradient
            directions = matrices(0.05 * gradient + 0.95 * momenta[name], count)
            factor = max(1, directions.shape[1] / directions.shape[2]) ** 0.5
            for change, own in zip(matrices(after - before, count), directions, strict=True):
                torch.testing.assert_close(change, -0.02 * factor * orthogonal(own[None])[0], rtol=0, atol=1e-6)
    gated = {name for name in names if counts[id(parameters[name])] == 2}
    assert gated == {
        name for name in names if not name.startswith("end") and ".skip" not in name and "resid" not in name
    }


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_the_others_learn_as_by_adamw(module, decay):
    """Tables, biases and convolutions to the output, which alone decay among them; Muon's weights decay at its rate."""
    module.optimization = type(module.optimization)(1e-3, 1e-8, 0.95, decay, 0.0, False, 0.02)
    moved = {id(weight) for some in module.network.matrices().values() for weight in some}
    parameters = dict(module.network.named_parameters())
    output = {id(layer.weight) for layer in module.modules() if isinstance(layer, nn.Conv1d)} - moved
    assert len(output) == (1 if isinstance(module, WaveNetModule) else 2)
    (changes,) = steps(module)
    for name, (before, after) in changes.items():
        if id(parameters[name]) in moved:
            continue
        twin = nn.Parameter(before.clone())
        twin.grad = parameters[name].grad
        own = decay if id(parameters[name]) in output else 0.0
        torch.optim.AdamW([twin], 1e-3, (0.9, 0.95), 1e-8, own, fused=True).step()
        assert torch.equal(after, twin), name


def test_a_resumed_run_equals_the_unbroken_one_bit_for_bit(fit):
    def run(name, **more):
        torch.manual_seed(0)
        module = TINY["sequnet"](beta2=0.95, warmup=0.3, anneal=True)
        options = {"max_epochs": -1, "max_steps": 12, "precision": "bf16-mixed", "gradient_clip_val": 1.0}
        return fit(name, module=module, **options, **more)

    broken = run("broken", callbacks=[At(lambda: signal.raise_signal(signal.SIGTERM), 8)])
    assert broken.last["global_step"] < 12
    states = broken.last["optimizer_states"][0]["state"].values()
    assert {name for state in states for name in state} == {"exp_avg", "exp_avg_sq", "momentum", "step"}
    resumed = run("broken", resume=True)
    assert resumed.trainer.global_step == 12
    assert same_weights(run("whole"), resumed)
