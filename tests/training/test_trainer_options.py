"""What users of Lightning expect of a project of theirs works here too."""

import math
from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import BatchSizeFinder, LambdaCallback, LearningRateFinder

from sequnet_pl.data.datamodule import AudioDataModule
from sequnet_pl.models.sequnet import SeqUNet
from sequnet_pl.training.health import NonFinite


class Seen(pl.Callback):
    """The crops of each epoch's batches."""

    def __init__(self):
        self.epochs = {}

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        crops = list(zip(batch.recordings.tolist(), batch.starts.tolist(), strict=True))
        self.epochs.setdefault(trainer.current_epoch, []).append([crop for crop in crops if crop[0] >= 0])


@pytest.mark.parametrize(
    ("options", "steps", "validations"),
    [
        ({"limit_train_batches": 0.5, "limit_val_batches": 0, "detect_anomaly": True}, 9, 0),
        ({"limit_train_batches": 3, "profiler": "simple", "num_sanity_val_steps": 2, "gradient_clip_val": 0.1}, 9, 3),
        ({"check_val_every_n_epoch": None, "val_check_interval": 5, "deterministic": True}, 21, 4),
    ],
    ids=str,
)
def test_options_of_the_trainer(fit, options, steps, validations):
    run = fit(callbacks=[NonFinite()], **options)
    assert run.error is None
    assert run.trainer.global_step == steps
    assert len(run.curve("val/bits_per_sample")) == validations
    assert run.last["global_step"] == steps
    assert all(math.isfinite(float(bits)) for bits in run.curve().values())


class Validated(pl.Callback):
    """The first targets of the crops of each validation."""

    def __init__(self):
        self.crops = []

    def on_validation_start(self, trainer, pl_module):
        self.crops.append([])

    def on_validation_batch_start(self, trainer, pl_module, batch, *_):
        self.crops[-1] += batch.starts.tolist()


@pytest.mark.parametrize("options", [{"limit_val_batches": 2}, {"num_sanity_val_steps": 2}], ids=str)
def test_each_validation_starts_at_the_first_batch(fit, options):
    seen = Validated()
    assert fit(callbacks=[seen], val_check_interval=3, max_epochs=1, **options).error is None
    *some, last = seen.crops
    assert all(crops == last[: len(crops)] for crops in some)


@pytest.mark.parametrize("kind", ["cpu", "cuda"])
def test_a_run_on_the_cpu_leaves_a_gpu_alone(audio_folder, tmp_path, monkeypatch, kind):
    """To pin memory needs a context on the GPU, which may be full or taken."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    data = AudioDataModule(audio_dir=str(audio_folder), data_dir=str(tmp_path), num_workers=0)
    data.prepare_data()
    data.setup("fit")
    strategy, module = SimpleNamespace(root_device=torch.device(kind)), SimpleNamespace(network=SeqUNet(2, 2, 1, 3))
    data.trainer = SimpleNamespace(strategy=strategy, lightning_module=module, global_rank=0, world_size=1)
    assert data.train_dataloader().pin_memory is (kind == "cuda")


def test_batch_size_finder(fit):
    seen = Seen()
    run = fit(callbacks=[BatchSizeFinder(steps_per_trial=1, max_trials=3), NonFinite(), seen])
    assert run.error is None
    size = run.trainer.datamodule.batch_size
    assert size > 2
    assert run.trainer.global_step == 3 * -(-13 // size)
    for batches in seen.epochs.values():
        assert len(batches[0]) == size
        crops = [crop for batch in batches for crop in batch]
        assert len(set(crops)) == len(crops) == 13


def test_learning_rate_finder(fit):
    seen, expected = Seen(), Seen()
    fit("without", callbacks=[expected])
    run = fit(callbacks=[LearningRateFinder(num_training_steps=20), NonFinite(), seen])
    assert run.error is None
    (group,) = run.trainer.optimizers[0].param_groups
    assert group["lr"] == run.module.lr != 5e-4
    assert seen.epochs == expected.epochs  # training begins at the beginning
    assert fit(resume=True, max_epochs=4).error is None


def test_accumulated_batches_make_the_step_of_one_large_batch(fit):
    """Whatever their numbers of targets: of three recordings, two are shorter than a crop."""
    found = []
    for batch_size, accumulated in ((2, 1), (1, 2)):
        gradients = []
        keep = LambdaCallback(
            on_before_optimizer_step=lambda trainer, module, optimizer, gradients=gradients: gradients.append(
                torch.cat([parameter.grad.flatten() for parameter in module.parameters()])
            )
        )
        data = {"batch_size": batch_size, "hop_size": 10**6, "output_size": 9000}
        options = {"accumulate_grad_batches": accumulated, "gradient_clip_val": 1e9, "max_epochs": 1}
        assert fit(f"by-{batch_size}", callbacks=[keep], data=data, **options).error is None
        found.append(gradients)
    assert len(found[0]) == len(found[1]) == 2  # two crops, and the one that is left
    torch.testing.assert_close(found[0][0], found[1][0], rtol=1e-4, atol=1e-6)
