"""Published snapshots become checkpoints that training resumes from."""

import runpy
import sys
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import LambdaCallback

from sequnet_pl.cli.main import run_main
from sequnet_pl.models.published import to_published
from sequnet_pl.models.published.__main__ import convert
from sequnet_pl.training.checkpoints import hyper_parameters
from sequnet_pl.training.module import module_class
from sequnet_pl.training.snapshots import convert_snapshot
from sequnet_pl.training.trained import load_trained

SNAPSHOTS = Path(__file__).parents[1] / "fixtures" / "snapshots"


@pytest.fixture(params=["sequnet_l2_f5_d3_k7", "wavenet_4x2"])
def snapshot(request: pytest.FixtureRequest) -> Path:
    return SNAPSHOTS / request.param / "checkpoint_300"


def test_a_snapshot_and_its_checkpoint_are_one_network(snapshot: Path, tmp_path: Path) -> None:
    assert convert_snapshot(snapshot, tmp_path / "out.ckpt", layers=4) == 300
    before, after = load_trained(snapshot, layers=4), load_trained(tmp_path / "out.ckpt")
    assert (before.step, before.name, before.digest) == (after.step, after.name, after.digest)
    assert after.network.arguments == before.network.arguments


def test_training_resumes_with_the_moments_of_adam(snapshot: Path, tmp_path: Path, fit) -> None:
    out = tmp_path / "out.ckpt"
    convert_snapshot(snapshot, out, layers=4)
    content = torch.load(out, weights_only=True)
    module = module_class(content["network"])(**hyper_parameters(content))
    moments: dict[str, torch.Tensor] = {}

    def look(trainer: pl.Trainer, _: pl.LightningModule) -> None:
        state = trainer.optimizers[0].state
        moments.update({name: state[p]["exp_avg_sq"].clone() for name, p in module.network.named_parameters()})

    callbacks = [LambdaCallback(on_train_start=look)]
    run = fit(resume=out, module=module, callbacks=callbacks, data={"output_size": 8}, max_epochs=-1, max_steps=301)
    assert run.error is None and run.trainer.global_step == 301
    published = torch.load(snapshot, weights_only=True)
    theirs = to_published(module.network, moments)
    for index, name in enumerate(published["model_state_dict"]):
        if not name.startswith("residual_convs.7"):  # feeds nothing, so ours lacks it
            expected = published["optimizer_state_dict"]["state"][index]["exp_avg_sq"]
            assert torch.equal(theirs[name.removeprefix("module.")], expected)


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        ("", 2, "the only command is convert"),
        ("convert {snapshot} out.pt", 2, "ends in .ckpt"),
        ("convert missing out.ckpt", 1, "no checkpoint missing"),
        ("convert {wavenet} out.ckpt", 1, "13 layers a block do not divide"),
        ("convert {snapshot} out.ckpt --layer 3", 2, "there is no option --layer"),
        ("convert {snapshot} there.ckpt", 1, "is there already"),
        ("convert ours.ckpt out.ckpt", 1, "not a snapshot"),
    ],
)
def test_command(words: str, status: int, message: str, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"network": "sequnet"}, "ours.ckpt")
    Path("there.ckpt").touch()
    names = {"snapshot": SNAPSHOTS / "sequnet_l2_f5_d3_k7", "wavenet": SNAPSHOTS / "wavenet_4x2"}
    assert run_main("convert", convert, words.format(**names).split()) == status
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not Path("out.ckpt").exists()


def test_run_as_a_module_it_logs_what_it_wrote(tmp_path: Path, monkeypatch, caplog) -> None:
    out = tmp_path / "out.ckpt"
    monkeypatch.setattr(sys, "argv", ["convert", "convert", str(SNAPSHOTS / "sequnet_l2_f5_d3_k7"), str(out)])
    with pytest.raises(SystemExit, match="0"):
        runpy.run_module("sequnet_pl.models.published", run_name="__main__")
    assert f"{out}: step 300; resume with: " in caplog.text
    assert out.is_file()
