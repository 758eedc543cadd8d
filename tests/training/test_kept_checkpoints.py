"""Which checkpoints are kept, when they are written, and that those of older versions load."""

import gzip
from pathlib import Path
from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
import torch

from sequnet_pl.training import checkpoints
from sequnet_pl.training.checkpoints import best_of, score_of
from sequnet_pl.training.health import NonFiniteError
from sequnet_pl.training.module import module_class


def test_best_checkpoints_are_kept_to_their_number(fit):
    run = fit(keep=2, val_check_interval=3)
    folder = run.folder / "checkpoints"
    files = sorted(folder.glob("best-*.ckpt"))
    assert len(files) == 2
    assert sorted(path.name for path in folder.iterdir()) == [*(path.name for path in files), "last.ckpt"]
    scores = run.curve("val/bits_per_sample")
    best = {int(path.stem[-8:]): score_of(path) for path in files}
    assert sorted(best.values()) == pytest.approx(sorted(map(float, scores.values()))[:2], abs=1e-6)
    assert score_of(best_of(checkpoints.Run(run.folder, "sequnet", folder))) == min(best.values())


def test_broken_weights_do_not_replace_a_checkpoint(fit):
    class Break(pl.Callback):
        def on_train_batch_end(self, trainer, pl_module, *_):
            if trainer.global_step == 5:
                next(pl_module.parameters()).data.fill_(float("nan"))

    run = fit(callbacks=[Break()], every=1)
    assert isinstance(run.error, NonFiniteError)
    assert run.last["global_step"] == 4
    assert all(torch.isfinite(value).all() for value in run.last["state_dict"].values() if value.is_floating_point())


def test_checkpoints_are_made_after_minutes_too(fit, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("sequnet_pl.training.saving.time", SimpleNamespace(monotonic=lambda: now[0]))
    saved = []

    class Clock(pl.Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            now[0] += 200.0
            path = Path(trainer.checkpoint_callbacks[-1].dirpath) / "last.ckpt"
            saved.append(torch.load(path, weights_only=True)["global_step"] if path.exists() else 0)

    fit(callbacks=[Clock()], every=0, limit_val_batches=0, max_epochs=1)
    assert saved == [0, 0, 0, 3, 3, 3, 6]  # ten minutes are three batches of 200 s


FIXTURES = sorted((Path(__file__).parents[1] / "fixtures" / "checkpoints").glob("*.ckpt.gz"))


@pytest.mark.parametrize("fixture", FIXTURES, ids=lambda path: path.name)
def test_checkpoints_of_older_versions_load_and_resume(fit, tmp_path, fixture):
    path = tmp_path / fixture.stem
    path.write_bytes(gzip.decompress(fixture.read_bytes()))
    content = checkpoints.read(path)
    assert (content["network"], content["global_step"]) == (fixture.name.split("-")[0], 5)
    module = module_class(content["network"])(**checkpoints.hyper_parameters(content))
    data = {"output_size": 64}
    run = fit(resume=str(path), module=module, data=data, max_steps=8)
    assert run.error is None
    assert (run.trainer.global_step, list(run.curve())) == (8, [5, 6, 7])
    (score,) = run.trainer.test(run.module, run.trainer.datamodule, ckpt_path=str(path), verbose=False)
    assert 0 < score["test/bits_per_sample"] < 12
