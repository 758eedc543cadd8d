"""The report of a test: whole in its JSON file, and valid where scores are not finite."""

import json

import pytest
import pytorch_lightning as pl
import soundfile
import torch

from sequnet_pl.data.datamodule import AudioDataModule
from sequnet_pl.training.module import SeqUNetModule
from sequnet_pl.training.scores import ScoreReport


def score(module, audio_folder, tmp_path):
    trainer = pl.Trainer(
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        callbacks=[ScoreReport(tmp_path / "run")],
    )
    data = AudioDataModule(
        audio_dir=str(audio_folder), data_dir=str(tmp_path), output_size=256, num_workers=0, batch_size=4
    )
    trainer.test(module, data, verbose=False)


def test_the_json_file_has_all_of_it(audio_folder, tmp_path):
    score(SeqUNetModule(3, 4, 1, 3), audio_folder, tmp_path)
    found = json.loads((tmp_path / "run" / "test.json").read_text())
    lengths = [soundfile.info(audio_folder / "test" / f"{name}.wav").frames for name in (0, 1)]
    recordings = {one["name"]: one["samples"] for one in found["recordings"]}
    assert recordings == {"0.wav": lengths[0], "1.wav": lengths[1]}
    assert found["samples"] == sum(lengths)
    means = {"recordings": "bits_per_sample", "distances": "bits_per_sample", "calibration": "accuracy"}
    for bins, mean in means.items():
        assert sum(one["samples"] for one in found[bins]) == sum(lengths)
        total = sum(one["samples"] * one[mean] for one in found[bins] if one["samples"])
        assert total / sum(lengths) == pytest.approx(found[f"test/{mean}"], abs=1e-9)
    tables = list(found["bits_per_sample"].values())
    assert tables[0] == 8 and tables[1] > tables[2] > tables[3]
    total = sum(one["samples"] * one["table_bits_per_sample"] for one in found["distances"])
    assert total / sum(lengths) == pytest.approx(tables[3], abs=1e-9)
    assert found["distances"][-1]["end"] is None
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"test.json", "test.html"}


def test_what_is_not_finite_is_null(audio_folder, tmp_path):
    module = SeqUNetModule(2, 2, 1, 3)
    module.network.requires_grad_(False)
    next(module.parameters()).fill_(torch.nan)
    score(module, audio_folder, tmp_path)
    text = (tmp_path / "run" / "test.json").read_text()
    assert "NaN" not in text
    assert json.loads(text)["test/bits_per_sample"] is None
