"""The networks learn; scores do not depend on how they are added up."""

import math

import pytest
import torch
from pytorch_lightning.callbacks import LambdaCallback
from short_runs import random_batch
from torch import nn
from torch.nn import functional as F

from sequnet_pl.training.compilation import loss_sum
from sequnet_pl.training.metrics import Mean
from sequnet_pl.training.module import SeqUNetModule, WaveNetModule, module_class

TINY = {
    "sequnet": lambda **kwargs: SeqUNetModule(3, 8, 1, 3, **kwargs),
    "wavenet": lambda **kwargs: WaveNetModule(4, 2, 8, 8, 16, **kwargs),
}


@pytest.fixture(params=TINY)
def tiny(request):
    torch.manual_seed(0)
    return TINY[request.param]


def test_a_tiny_network_learns_a_crop_by_heart(tiny):
    """Under 0.1 bits: the loss, its gradients and the alignment of codes and targets are right."""
    module = tiny(lr=1e-2)
    batch = random_batch(module.network, 64)
    nats = F.cross_entropy(module(batch.codes[:, :-1]), batch.codes[:, -64:].long())
    assert loss_sum(module.network, batch).item() / 64 == pytest.approx(nats.item(), rel=1e-4)
    optimizer = module.configure_optimizers()["optimizer"]
    for _ in range(800):
        optimizer.zero_grad()
        loss = loss_sum(module.network, batch) / 64
        loss.backward()
        optimizer.step()
        if loss < 0.09 * math.log(2):
            break
    assert loss.item() / math.log(2) < 0.1


def test_codes_after_the_end_do_not_count(tiny):
    network = tiny().network
    batch = random_batch(network, 64, 10)
    changed = batch.codes.clone()
    changed[1, -54:] = 7  # tail of the second crop, after its ten targets
    expected = loss_sum(network, batch)
    assert torch.equal(loss_sum(network, batch._replace(codes=changed)), expected)
    changed[1, -55] = changed[1, -55] ^ 1  # its last target
    assert not torch.equal(loss_sum(network, batch._replace(codes=changed)), expected)


def test_published_settings():
    for module in (SeqUNetModule(3, 4, 1, 3), WaveNetModule(2, 1, 2, 2, 2)):
        for group in module.configure_optimizers()["optimizer"].param_groups:
            assert (group["lr"], group["eps"], group["betas"], group["weight_decay"]) == (5e-4, 1e-8, (0.9, 0.999), 0)


@pytest.mark.parametrize("muon", [0.0, 0.02])
def test_recurrences_are_a_parameter_group_with_a_name_and_a_lower_rate(muon):
    module = SeqUNetModule(4, 6, 1, 3, state=4, lr=1e-2, muon=muon)
    groups = module.configure_optimizers()["optimizer"].param_groups
    assert [group["lr"] for group in groups if group.get("name") == "recurrences"] == [pytest.approx(4e-3)]
    assert {group["lr"] for group in groups if "name" not in group} == {1e-2}


@pytest.mark.parametrize("muon", [0.0, 0.02])
@pytest.mark.parametrize(
    "shape", [("sequnet", 3, 8, 1, 3, False, 6, 4), ("wavenet", 4, 2, 8, 8, 16), ("sashimi", 4, 1, 4)]
)
def test_weights_decay_and_nothing_else(shape, muon):
    """Gradients are zeros, so that only a decay moves anything."""
    name, *sizes = shape
    module = module_class(name)(*sizes, weight_decay=0.1, lr=0.5, muon=muon)
    optimizer = module.configure_optimizers()["optimizer"]
    before = {name: parameter.detach().clone() for name, parameter in module.named_parameters()}
    for parameter in module.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    layers = module.named_modules()
    weights = {f"{name}.weight" for name, layer in layers if isinstance(layer, nn.Conv1d | nn.Linear)}
    assert {name for name, value in module.named_parameters() if not torch.equal(value, before[name])} == weights


def test_metrics_add_no_error():
    """A hundred million float32 values, whose float32 sum would stop growing, give their exact mean."""
    values = torch.full((1, 1_000_000), 3.0, dtype=torch.float32)
    mask = torch.ones_like(values, dtype=torch.bool)
    metric = Mean()
    for _ in range(100):
        metric.update(values, mask)
    assert metric.compute().item() == pytest.approx(3, rel=1e-12)
    assert metric.count.item() == 100_000_000


def test_gradients_are_freed_after_the_step(fit):
    """They are kept through the batches whose gradients add up, and until the callbacks before the step."""
    kept, seen = [], []

    def count(module):
        return sum(parameter.grad is not None for parameter in module.parameters())

    look = LambdaCallback(
        on_train_batch_end=lambda trainer, module, *_: kept.append(count(module)),
        on_before_optimizer_step=lambda trainer, module, optimizer: seen.append(count(module)),
    )
    fit(callbacks=[look], accumulate_grad_batches=2, max_steps=2)
    every = seen[0]
    assert seen == [every, every] and kept == [every, 0, every, 0] and every > 0
