"""The report of a test: the same however the test is run, whole in its JSON file, and sound in odd cases."""

import json

import pytest
import pytorch_lightning as pl
import soundfile
import torch
from short_runs import Collected

from sequnet_pl.data.datamodule import AudioDataModule
from sequnet_pl.errors import UserError
from sequnet_pl.training.module import SeqUNetModule, WaveNetModule
from sequnet_pl.training.scores import ScoreReport


def score(callback, module, audio_folder, tmp_path, batch_size=4, **options):
    trainer = pl.Trainer(
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        callbacks=[callback],
        **options,
    )
    data = AudioDataModule(
        audio_dir=str(audio_folder), data_dir=str(tmp_path), output_size=256, num_workers=0, batch_size=batch_size
    )
    (logged,) = trainer.test(module, data, verbose=False)
    return logged


@pytest.mark.parametrize(("precise", "tolerance"), [(True, 1e-9), (False, 1e-6)])
def test_nothing_depends_on_the_batch_size(audio_folder, tmp_path, precise, tolerance):
    torch.manual_seed(0)
    module = WaveNetModule(4, 2, 8, 8, 16)
    module = module.double() if precise else module
    found = []
    for batch_size in (1, 3, 16):
        details = Collected()
        logged = score(details, module, audio_folder, tmp_path, batch_size)
        assert details.found["/bits_per_sample/this network"] == pytest.approx(logged["test/bits_per_sample"], abs=1e-9)
        assert details.found["/accuracy"] == pytest.approx(logged["test/accuracy"], abs=1e-9)
        found.append(details.found)
    assert found == [pytest.approx(found[0], abs=tolerance)] * 3


def test_the_json_file_has_all_of_it(audio_folder, tmp_path):
    score(ScoreReport(tmp_path / "run"), SeqUNetModule(3, 4, 1, 3), audio_folder, tmp_path)
    found = json.loads((tmp_path / "run" / "test.json").read_text())
    lengths = [soundfile.info(audio_folder / "test" / f"{name}.wav").frames for name in (0, 1)]
    assert [(one["name"], one["samples"]) for one in found["recordings"]] == [
        ("0.wav", lengths[0]),
        ("1.wav", lengths[1]),
    ]
    assert found["samples"] == sum(lengths)
    for bins, mean in (
        ("recordings", "bits_per_sample"),
        ("distances", "bits_per_sample"),
        ("calibration", "accuracy"),
    ):
        assert sum(one["samples"] for one in found[bins]) == sum(lengths)
        total = sum(one["samples"] * one[mean] for one in found[bins] if one["samples"])
        assert total / sum(lengths) == pytest.approx(found[f"test/{mean}"], abs=1e-9)
    tables = list(found["bits_per_sample"].values())
    assert tables[0] == 8 and tables[1] > tables[2] > tables[3]
    total = sum(one["samples"] * one["table_bits_per_sample"] for one in found["distances"])
    assert total / sum(lengths) == pytest.approx(tables[3], abs=1e-9)
    assert found["distances"][-1]["end"] is None
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        "test.json",
        "test.html",
    }


def test_a_score_is_printed_though_it_cannot_be_written(audio_folder, tmp_path, capsys):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot make the folder"):
        score(ScoreReport(tmp_path / "file" / "run"), SeqUNetModule(3, 4, 1, 3), audio_folder, tmp_path)
    assert "uniform baseline" in capsys.readouterr().out


def test_what_is_not_finite_is_null(audio_folder, tmp_path):
    module = SeqUNetModule(2, 2, 1, 3)
    module.network.requires_grad_(False)
    next(module.parameters()).fill_(torch.nan)
    score(ScoreReport(tmp_path / "run"), module, audio_folder, tmp_path)
    text = (tmp_path / "run" / "test.json").read_text()
    assert "NaN" not in text
    assert json.loads(text)["test/bits_per_sample"] is None
