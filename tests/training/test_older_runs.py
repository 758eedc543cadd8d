"""Run folders of an earlier version, made by commit b9bb005: they resume, are tested and sampled as they were there."""

import json
import tarfile
from pathlib import Path

import pytest
import torch
from short_runs import rows

from sequnet_pl.cli.entry_points import sample, train
from sequnet_pl.cli.main import run_main
from sequnet_pl.training.checkpoints import best_of, run_of, score_of

RUNS = Path(__file__).parents[1] / "fixtures" / "runs"
EXPECTED = json.loads((RUNS / "expected.json").read_text())  # curves of these runs after that version resumed them


@pytest.fixture(params=EXPECTED)
def folder(request, tmp_path, monkeypatch, audio_folder):
    """A run folder below the working directory, with the recordings it was trained on."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    Path("audio").symlink_to(audio_folder)
    with tarfile.open(RUNS / f"{request.param}.tar.gz") as tar:
        tar.extractall("logs/sequnet", filter="data")
    return Path("logs/sequnet", request.param)


def test_an_older_run_resumes_as_its_own_version_resumed_it(folder, capfd, caplog):
    best = min(score for path in folder.rglob("best-*.ckpt") if (score := score_of(path)) is not None)
    line = f"--ckpt_path {folder}/checkpoints/last.ckpt --max_steps 16 --epochs -1"
    assert run_main("train.py", train, line.split()) == 0
    text = capfd.readouterr().err + caplog.text
    assert "callbacks" not in text and "was not created with" not in text
    for name, values in EXPECTED[folder.name].items():
        found = {row["step"]: float(row[name]) for row in rows(folder) if row.get(name)}
        assert {step: found[step] for step in values} == pytest.approx(values, abs=1e-4)
    assert score_of(best_of(run_of(folder / "config.yaml"))) <= best
    states = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["callbacks"]
    (kept,) = [state["best_model_score"] for state in states.values() if "best_model_score" in state]
    assert kept <= best


def test_an_older_run_is_tested_and_sampled(folder, capfd, caplog):
    checkpoint = folder / "checkpoints" / "last.ckpt"
    assert run_main("train.py", train, ["test", "--ckpt_path", str(checkpoint)]) == 0
    scores = json.loads((folder / "test.json").read_text())
    assert 0 < scores["test/bits_per_sample"] < 12
    assert run_main("sample.py", sample, f"--ckpt_path {checkpoint} --seconds 0.1 --output_dir clips".split()) == 0
    assert list(Path("clips").rglob("*.wav"))
    text = capfd.readouterr().err + caplog.text
    assert "callbacks" not in text and "WeightAveraging state" not in text
