"""The loss is one graph for a compiler; what is compiled, when, and what happens where that fails."""

import pytest
import torch
from short_runs import random_batch, run_fit

from sequnet_pl.models.sashimi import SaShiMi
from sequnet_pl.models.sequnet import SeqUNet
from sequnet_pl.models.wavenet import WaveNet
from sequnet_pl.training import compilation
from sequnet_pl.training.compilation import loss_sum
from sequnet_pl.training.module import SeqUNetModule


@pytest.fixture(autouse=True)
def own_compiler(monkeypatch):
    """Graphs are found by the compiler, and computed as they are, which takes no time."""
    torch._dynamo.reset()
    cached = compilation.compiled_loss_sum
    monkeypatch.setattr(compilation, "BACKEND", "aot_eager")
    yield
    cached.cache_clear()
    torch._dynamo.reset()


@pytest.mark.parametrize(
    ("build", "checkpointed"),
    [
        (lambda: SeqUNet(2, 4, 2, 3), True),
        (lambda: SeqUNet(3, 4, 1, 3, norm=True, head=5, state=2), False),
        (lambda: SaShiMi(2, 1, 4), True),
        (lambda: WaveNet(2, 2, 4, 4, 4), True),
    ],
    ids=["sequnet", "sequnet-memory-norm", "sashimi", "wavenet"],
)
def test_compiled_gradients_are_those_of_the_plain_loss(build, checkpointed):
    torch.manual_seed(0)
    network = build().double()
    network.checkpoint_activations = checkpointed
    batch, parameters = random_batch(network, 64, 32), list(network.parameters())
    losses = loss_sum, compilation.compiled_loss_sum("aot_eager")
    expected, actual = (torch.autograd.grad(loss(network, batch), parameters) for loss in losses)
    for one, other in zip(actual, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-10)


def test_a_compiled_run_learns_as_the_plain_one(fit, monkeypatch):
    """Validation and the scores of an average are the plain network's."""
    shapes, weights, real = [], [], compilation.compiled_loss_sum

    def counting(name):
        def loss(network, batch, labels=None):
            shapes.append(tuple(batch.codes.shape))
            return real(name)(network, batch, labels)

        return loss

    monkeypatch.setattr(compilation, "compiled_loss_sum", counting)
    for compiled in (False, True):
        torch.manual_seed(0)
        module = SeqUNetModule(2, 2, 1, 3, compile=compiled)
        run = fit(f"run-{compiled}", module=module, max_steps=4, accumulate_grad_batches=2)
        assert run.error is None
        weights.append(run.last["state_dict"])
    assert len(shapes) > 4  # each training batch, and one to try
    assert len(set(shapes)) == 1
    assert not any("_orig_mod" in name for name in weights[1])
    for name, weight in weights[0].items():
        torch.testing.assert_close(weights[1][name], weight, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("setting", "kind", "steps", "expected"),
    [
        ("auto", "cuda", 3000, True),
        ("auto", "cuda", 2999, False),
        ("auto", "cpu", 10**6, False),
        (True, "cpu", 5, True),
    ],
)
def test_auto_compiles_long_runs_on_a_gpu(setting, kind, steps, expected):
    assert compilation.compiles(setting, torch.device(kind), steps) is expected


@pytest.mark.parametrize(
    ("error", "plain_fails"),
    [(ValueError("a mistake of the user's"), True), (torch.OutOfMemoryError("CUDA out of memory"), False)],
)
def test_errors_that_are_not_the_compilers_are_raised(fit, monkeypatch, error, plain_fails):
    def broken(network, batch, labels):
        raise error

    monkeypatch.setattr(compilation, "compiled_loss_sum", lambda backend: broken)
    if plain_fails:
        monkeypatch.setattr(compilation, "loss_sum", broken)
    run = fit(module=SeqUNetModule(2, 2, 1, 3, compile=True), max_steps=2)
    assert isinstance(run.error, type(error))


def learn_compiled(root, audio):
    compilation.BACKEND = "aot_eager"
    module = SeqUNetModule(2, 2, 1, 3, checkpoint_activations=True, compile=True)
    options = {"devices": 2, "accelerator": "cpu", "strategy": "ddp", "max_steps": 2}
    error = run_fit(root, audio, module=module, data={"batch_size": 1}, **options).error
    assert error is None, error


def test_processes_learn_together_from_compiled_graphs(tmp_path, audio_folder, group):
    """DDP's own cutting of graphs is off: it refuses activations that are computed again."""
    statuses, logs = group(2, learn_compiled, str(tmp_path), str(audio_folder)).wait()
    assert statuses == [0, 0], logs
    assert "which failed" not in logs[0] and "compiling the training step" in logs[0]
