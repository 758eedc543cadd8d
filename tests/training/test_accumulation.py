"""Accumulated batches give the gradient of the large batch, whatever their numbers of targets."""

import pytest
import pytorch_lightning as pl
import torch
from short_runs import run_fit

from sequnet_pl.audio.files import write_wav


class Gradients(pl.Callback):
    """Keep the gradient of each step."""

    def __init__(self):
        self.steps = []

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        self.steps.append(torch.cat([parameter.grad.flatten() for parameter in pl_module.parameters()]))


@pytest.fixture
def short(tmp_path):
    """Five recordings, the first ones shorter than a crop."""
    random = torch.Generator().manual_seed(0)
    for split, lengths in (("train", (50, 100, 900, 700, 800)), ("val", (600,))):
        (tmp_path / "short" / split).mkdir(parents=True)
        for i, length in enumerate(lengths):
            sound = 0.5 * torch.rand(length, generator=random).numpy() - 0.25
            write_wav(tmp_path / "short" / split / f"{i}.wav", sound, 16_000)
    return tmp_path / "short"


def test_accumulated_batches_make_the_step_of_one_large_batch(tmp_path, short):
    found = []
    for batch_size, accumulated in ((4, 1), (1, 4)):
        gradients = Gradients()
        run = run_fit(
            tmp_path,
            short,
            f"by-{batch_size}",
            callbacks=[gradients],
            data={"batch_size": batch_size, "hop_size": 10**6},
            accumulate_grad_batches=accumulated,
            max_epochs=1,
            gradient_clip_val=1e9,
        )
        assert run.error is None
        found.append(gradients.steps)
    assert len(found[0]) == len(found[1]) == 2  # four crops, and the one that is left
    torch.testing.assert_close(found[0][0], found[1][0], rtol=1e-4, atol=1e-6)
