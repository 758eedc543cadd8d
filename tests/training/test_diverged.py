"""A run whose loss stays high ends, and silent training data is reported."""

import numpy as np
import pytest
import torch
from short_runs import run_fit

from sequnet_pl.audio.files import write_wav
from sequnet_pl.training import health
from sequnet_pl.training.health import NonFinite, NonFiniteError
from sequnet_pl.training.module import SeqUNetModule


@pytest.fixture
def spoiled(monkeypatch):
    """Spoil the weights before a step: the loss is far above 10 bits from there on."""
    monkeypatch.setattr(health, "DIVERGED_STEPS", 4)
    step = SeqUNetModule.training_step

    def training_step(self, batch, batch_idx):
        if self.trainer.global_step == 5:
            with torch.no_grad():
                for parameter in self.network.parameters():
                    parameter.copy_(10 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
        return step(self, batch, batch_idx)

    monkeypatch.setattr(SeqUNetModule, "training_step", training_step)


def test_a_diverged_run_ends_and_keeps_the_checkpoint_from_before(fit, spoiled):
    run = fit(callbacks=[NonFinite()])
    assert isinstance(run.error, NonFiniteError)
    text = str(run.error)
    assert "diverged" in text and "at step 9 " in text and "\n" not in text
    assert f"--init_from {run.folder / 'checkpoints' / 'last.ckpt'} --lr 0.0002" in text
    assert run.last["global_step"] == 3  # step 6 was due, and was high


def test_a_count_is_read_only_where_a_row_is_logged(fit, spoiled):
    run = fit(callbacks=[NonFinite()], log_every_n_steps=12)
    assert "at step 12 " in str(run.error)


@pytest.mark.parametrize(("bits", "warmup"), [(0.0, 0.0), (10.0, 0.99)])
def test_zero_bits_and_the_warm_up_let_a_run_train_on(fit, spoiled, bits, warmup):
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
