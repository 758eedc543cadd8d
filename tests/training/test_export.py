"""A network to give to others holds its weights in bfloat16 and a card, and none of its training."""

import json
import os
import runpy
import shlex
import sys
from pathlib import Path

import pytest
import torch
from pytorch_lightning.callbacks import EMAWeightAveraging
from short_runs import run_fit

from sequnet_pl import pretrained
from sequnet_pl.cli.main import run_main
from sequnet_pl.errors import UsageError
from sequnet_pl.pretrained.__main__ import export
from sequnet_pl.report.card import RIGHTS
from sequnet_pl.training.export import write_export
from sequnet_pl.training.trained import load_trained

BITS = {"trigram baseline": 3.8, "this network": 2.25}


@pytest.fixture
def last(tmp_path: Path, audio_folder: Path) -> Path:
    return run_fit(tmp_path, audio_folder, max_steps=4).folder / "checkpoints" / "last.ckpt"


def shipped(checkpoint: Path, folder: Path) -> tuple[dict, str]:
    """The content of the new checkpoint, and the card."""
    weights, _ = write_export(checkpoint, folder, folder / "logs")
    return torch.load(weights, weights_only=True), (folder / "MODEL.md").read_text(encoding="utf-8")


def changed(checkpoint: Path, **content: object) -> Path:
    torch.save(torch.load(checkpoint, weights_only=True) | content, checkpoint)
    return checkpoint


def test_weights_are_rounded_and_nothing_private_comes_along(last: Path, tmp_path: Path, audio_folder: Path) -> None:
    content, card = shipped(last, tmp_path / "given")
    assert all(tensor.dtype == torch.bfloat16 for tensor in content["state_dict"].values())
    assert not {"optimizer_states", "loops"} & set(content)
    given, own = load_trained(tmp_path / "given" / "weights.ckpt"), load_trained(last)
    assert (given.step, given.name, given.sample_rate) == (4, "sequnet", 16_000)
    for name, tensor in own.network.state_dict().items():
        assert torch.equal(given.network.state_dict()[name], tensor.bfloat16().float())
    text = card + json.dumps(content["datamodule_hyper_parameters"])
    assert str(audio_folder) not in text and str(tmp_path) not in text
    facts = ("# given", "4 steps of training", given.digest, "levels: 2", "batch_size: 2", RIGHTS, "Not tested yet")
    assert [fact for fact in facts if fact not in card] == []
    assert "averaged" not in card and "MIT" not in card
    assert [path.name for path in sorted((tmp_path / "given").iterdir())] == ["MODEL.md", "weights.ckpt"]


def test_averaged_weights_are_what_is_given(tmp_path: Path, audio_folder: Path) -> None:
    run = run_fit(tmp_path, audio_folder, max_steps=4, callbacks=[EMAWeightAveraging(decay=0.9)])
    content, card = shipped(run.folder / "checkpoints" / "last.ckpt", tmp_path / "given")
    assert "These are averaged weights." in card
    current = run.last["current_model_state"]
    for name, tensor in run.last["state_dict"].items():
        assert torch.equal(content["state_dict"][name], tensor.bfloat16())
    assert any(not torch.equal(tensor, current[name]) for name, tensor in run.last["state_dict"].items())


def test_the_licence_of_the_builtin_recordings(last: Path, tmp_path: Path) -> None:
    data = {"dataset": "builtin", "builtin_takes": 40, "sample_rate": 16_000, "seed": 5}
    _, card = shipped(changed(last, datamodule_hyper_parameters=data), tmp_path / "given")
    assert "MIT licence" in card and RIGHTS not in card
    assert "builtin_takes: 40" in card and "seed: 5" in card
    _, card = shipped(changed(last, datamodule_hyper_parameters=data | {"audio_dir": "x"}), tmp_path / "given")
    assert "MIT licence" not in card and RIGHTS in card


def test_the_card_has_the_score_of_these_weights_or_of_those_before_rounding(last: Path, tmp_path: Path) -> None:
    folder, run = tmp_path / "given", last.parent.parent
    (run / "config.yaml").write_text("model: {class_path: sequnet_pl.models.sequnet.SeqUNet}\n")
    (run / "test.json").write_text(json.dumps({"step": 3, "bits_per_sample": BITS}))
    assert "Not tested yet" in shipped(last, folder)[1], "another step's"
    (run / "test.json").write_text(json.dumps({"step": 4, "bits_per_sample": BITS}))
    card = shipped(last, folder)[1]
    assert "of the weights before they were rounded to bfloat16" in card and "this network: 2.250" in card
    (folder / "test.json").write_text(json.dumps({"step": 4, "bits_per_sample": BITS | {"this network": 2.5}}))
    before = (folder / "weights.ckpt").stat().st_mtime_ns
    card = shipped(last, folder)[1]
    assert "of these weights" in card and "this network: 2.500" in card
    assert (folder / "weights.ckpt").stat().st_mtime_ns == before
    os.utime(folder / "test.json", (0, 0))  # the weights are newer
    assert "this network: 2.250" in shipped(last, folder)[1]
    (run / "test.json").write_text("[]")
    assert "Not tested yet" in shipped(last, folder)[1]


def test_the_command(last: Path, tmp_path: Path, monkeypatch, capsys, caplog) -> None:
    monkeypatch.setattr(sys, "argv", ["export", str(last.parent.parent), str(tmp_path / "given")])
    with pytest.raises(SystemExit, match="0"):
        runpy.run_module("sequnet_pl.pretrained", run_name="__main__")
    assert f"{tmp_path / 'given' / 'weights.ckpt'}: 0." in caplog.text and "sample.py --ckpt_path" in caplog.text
    assert load_trained(tmp_path / "given" / "weights.ckpt").step == 4  # the newest of the run folder
    for words, status, message in (
        ((tmp_path / "none.ckpt", tmp_path / "other"), 1, "none.ckpt"),
        ((last, last / "below"), 1, "cannot make the folder"),
        ((last,), 2, "folder"),
    ):
        assert run_main("ship", export, [str(word) for word in words]) == status
        (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("ship: error: ")]
        assert message in line
    assert not (tmp_path / "other").exists()


def test_networks_of_the_package_have_the_names_of_their_folders(last: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(pretrained, "FOLDER", tmp_path / "shipped")
    with pytest.raises(UsageError, match="no network piano comes with the package; bundled: none"):
        pretrained.weights_of("piano")
    for name in ("piano", "flute"):
        card = shipped(last, tmp_path / "shipped" / name)[1]
        assert f"sample.py --pretrained {name}\n" in card and f"--init_from {name} " in card
    (tmp_path / "shipped" / "half").mkdir()
    assert pretrained.names() == ["flute", "piano"]


@pytest.mark.skipif("piano" not in pretrained.names(), reason="no weights are in the package")
def test_the_piano_of_the_package() -> None:
    weights = pretrained.weights_of("piano")
    assert weights.stat().st_size <= 8e6
    card = (weights.parent / "MODEL.md").read_text(encoding="utf-8")
    assert "MIT licence" in card and "this network: " in card and "seed_everything: " in card
    content = torch.load(weights, weights_only=True)
    assert {tensor.dtype for tensor in content["state_dict"].values()} == {torch.bfloat16}
    trained = load_trained(pretrained.weights_of("piano"))
    assert trained.data["dataset"] == "builtin"
    assert trained.network.receptive_field >= 2 * trained.sample_rate
    assert all(tensor.isfinite().all() for tensor in trained.network.state_dict().values())
    assert trained.digest in card
    assert shlex.join(["python", "sample.py", "--pretrained", "piano"]) in card
