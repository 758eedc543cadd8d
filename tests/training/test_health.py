"""Runs that are not finite, diverge or fail end with one line that names what to try; the last checkpoint is kept."""

import multiprocessing
import signal
from types import SimpleNamespace

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.precision import MixedPrecision
from short_runs import At, run_fit

from sequnet_pl.audio.files import write_wav
from sequnet_pl.training import health
from sequnet_pl.training.health import NonFinite, NonFiniteError, explained
from sequnet_pl.training.module import SeqUNetModule

STEP = SeqUNetModule.training_step


def spoil(monkeypatch, change, at=(5,)):
    """Change the loss of the batches before which so many steps were done."""

    def step(self, batch, batch_idx):
        loss = STEP(self, batch, batch_idx)
        return change(self, loss) if self.trainer.global_step in at else loss

    monkeypatch.setattr(SeqUNetModule, "training_step", step)


def infinite_loss(module, loss):
    return loss * float("inf")


def infinite_gradients(module, loss):
    return loss + (next(module.parameters()) * 0).sum().abs().sqrt()  # a finite loss


class Batches(pl.Callback):
    """Remembers the batches and the weights after each step."""

    def __init__(self):
        self.batches, self.weights = [], []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.batches.append(batch)
        self.weights.append([parameter.detach().clone() for parameter in pl_module.parameters()])


@pytest.mark.parametrize(("spoiler", "what"), [(infinite_loss, "loss"), (infinite_gradients, "gradients")])
def test_a_run_ends_before_the_weights_are_changed(fit, monkeypatch, spoiler, what):
    whole = Batches()
    fit("whole", callbacks=[whole])
    spoil(monkeypatch, spoiler)
    run = fit(callbacks=[NonFinite()])
    assert isinstance(run.error, NonFiniteError)
    text = str(run.error)
    assert text.startswith(f"{what} not finite at step 5 ")
    batch = whole.batches[5]
    for recording, start in zip(batch.recordings.tolist(), batch.starts.tolist(), strict=True):
        assert f"train/{recording}.wav from sample {start:,}" in text
    assert all(torch.equal(a, b) for a, b in zip(whole.weights[4], run.module.parameters(), strict=True))
    assert run.last["global_step"] == 3  # saved every three steps, and not again


def test_steps_are_left_out_as_often_as_allowed(fit, monkeypatch, caplog):
    spoil(monkeypatch, infinite_loss, at=(2, 4, 5))
    batches = Batches()
    run = fit(callbacks=[NonFinite(skip=2), batches], every=1)
    assert isinstance(run.error, NonFiniteError)
    assert "at step 5 " in str(run.error)
    assert caplog.text.count("left out a step") == 2
    weights = batches.weights
    assert all(torch.equal(a, b) for a, b in zip(weights[1], weights[2], strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(weights[2], weights[3], strict=True))
    # the same run continues when more are allowed
    again = fit(callbacks=[NonFinite(skip=3)], resume=True)
    assert again.error is None
    assert again.trainer.global_step == 21


def test_float16_scales_neither_norms_nor_what_is_left_out(fit, monkeypatch):
    """The scaler of losses is that of a GPU, here on a CPU."""
    spoil(monkeypatch, infinite_loss, at=(2,))
    norms = []
    for plugins in ((), (MixedPrecision("16-mixed", "cpu"),)):
        run = fit(f"run-{len(plugins)}", callbacks=[NonFinite(skip=3)], plugins=plugins, max_steps=5)
        assert run.error is None
        norms.append(float(run.curve("train/gradient_norm")[0]))
    assert norms[1] == pytest.approx(norms[0], rel=0.01)


@pytest.mark.parametrize(
    ("error", "is_of_memory"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory"), True),
        (MemoryError(), True),
        (RuntimeError("size mismatch"), False),
    ],
)
def test_out_of_memory_names_the_settings_and_what_to_try(fit, monkeypatch, error, is_of_memory):
    def fail(module, loss):
        raise error

    spoil(monkeypatch, fail, at=(2,))
    run = fit()
    assert run.error is error
    found = explained(run.error, run.trainer)
    assert (found is not None) == is_of_memory
    for words in ("batch_size 2", "output_size 256", "precision 32", "--precision bf16-mixed", "smaller --batch_size"):
        assert not is_of_memory or words in str(found)


def test_an_error_of_a_backward_pass_is_not_of_another_process():
    codes = torch.ones(3, requires_grad=True)
    total = codes.exp().add_(1).sum()
    with pytest.raises(RuntimeError, match="inplace") as raised:
        total.backward()
    assert explained(raised.value, SimpleNamespace(world_size=2, global_rank=0)) is None


def test_a_killed_worker_is_one_line(fit, monkeypatch):
    def kill_workers(module, loss):
        for child in multiprocessing.active_children():
            child.kill()
        return loss

    spoil(monkeypatch, kill_workers, at=(2,))
    run = fit(data={"num_workers": 1})
    assert "--num_workers" in str(explained(run.error, run.trainer))


@pytest.fixture
def diverging(monkeypatch):
    """Change the weights before a step: the loss is far above 10 bits from there on."""
    monkeypatch.setattr(health, "DIVERGED_STEPS", 4)

    def step(self, batch, batch_idx):
        if self.trainer.global_step == 5:
            random = torch.Generator().manual_seed(1)
            for parameter in self.network.parameters():
                parameter.data = 10 * torch.randn(parameter.shape, generator=random)
        return STEP(self, batch, batch_idx)

    monkeypatch.setattr(SeqUNetModule, "training_step", step)


@pytest.mark.parametrize(
    ("options", "step"),
    [({}, 9), ({"max_epochs": -1}, 9), ({"log_every_n_steps": 12}, 12)],
    ids=["", "without a length", "read only where a row is logged"],
)
def test_a_diverged_run_ends_and_keeps_the_checkpoint_from_before(fit, diverging, options, step):
    def fail():
        raise RuntimeError("trains on")

    run = fit(callbacks=[NonFinite(), At(fail, 15)], **options)
    assert isinstance(run.error, NonFiniteError)
    text = str(run.error)
    assert "diverged" in text and f"at step {step} " in text and "\n" not in text
    assert f"--init_from {run.folder / 'checkpoints' / 'last.ckpt'} --lr 0.0002" in text
    assert run.last["global_step"] == 3  # step 6 was due, and was high


def test_a_signal_ends_a_run_whose_loss_is_high(fit, diverging):
    terminate = At(lambda: signal.raise_signal(signal.SIGTERM), 6)
    run = fit(callbacks=[NonFinite(), terminate], limit_val_batches=0)
    assert (run.error.code, run.trainer.global_step) == (143, 7)
    assert run.last["global_step"] == 3


@pytest.mark.parametrize(("bits", "warmup"), [(0.0, 0.0), (10.0, 0.99)])
def test_zero_bits_and_the_warm_up_let_a_run_train_on(fit, diverging, bits, warmup):
    run = fit(module=SeqUNetModule(2, 2, 1, 3, warmup=warmup), callbacks=[NonFinite(bits=bits)])
    assert run.error is None
    assert run.trainer.global_step == 21


def test_silent_training_data_is_reported(tmp_path, audio_folder, fit, caplog):
    fit(max_steps=1)
    assert "silence" not in caplog.text
    for split in ("train", "val"):
        (tmp_path / "silent" / split).mkdir(parents=True)
        write_wav(tmp_path / "silent" / split / "a.wav", np.zeros(3000, np.float32), 16_000)
    run_fit(tmp_path, tmp_path / "silent", "silent", max_steps=1)
    assert caplog.text.count("nothing but silence") == 1
