"""Published snapshots become checkpoints that training resumes from."""

import runpy
import sys
from pathlib import Path

import pytest
import pytorch_lightning as pl
import soundfile
import torch

from sequnet_pl.cli.main import run_main
from sequnet_pl.data.datamodule import AudioDataModule
from sequnet_pl.models.published import to_published
from sequnet_pl.models.published.__main__ import convert
from sequnet_pl.training.checkpoints import hyper_parameters
from sequnet_pl.training.module import module_class
from sequnet_pl.training.saving import AtomicCheckpointIO
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


def test_training_goes_on_with_what_adam_remembers(snapshot: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.ckpt"
    convert_snapshot(snapshot, out, layers=4)
    content = torch.load(out, weights_only=True)
    module = module_class(content["network"])(**hyper_parameters(content))
    content = torch.load(snapshot, weights_only=True)
    for index in range(3):
        (tmp_path / "audio").mkdir(exist_ok=True)
        soundfile.write(tmp_path / "audio" / f"{index}.wav", torch.linspace(-1, 1, 8000).numpy(), 16_000)
    data = AudioDataModule(audio_dir=str(tmp_path / "audio"), data_dir=str(tmp_path), output_size=8, num_workers=0)
    moments: dict[str, torch.Tensor] = {}

    class Look(pl.Callback):
        def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
            state = trainer.optimizers[0].state
            moments.update({name: state[p]["exp_avg_sq"] for name, p in module.network.named_parameters()})
            moments.update({name: tensor.clone() for name, tensor in moments.items()})

    trainer = pl.Trainer(
        max_steps=301,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        limit_val_batches=0,
        callbacks=[Look()],
        plugins=[AtomicCheckpointIO()],
    )
    trainer.fit(module, data, ckpt_path=out)
    assert trainer.global_step == 301
    theirs = to_published(module.network, moments)
    for index, name in enumerate(content["model_state_dict"]):
        if not name.startswith("residual_convs.7"):  # feeds nothing, so ours lacks it
            expected = content["optimizer_state_dict"]["state"][index]["exp_avg_sq"]
            assert torch.equal(theirs[name.removeprefix("module.")], expected)


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ("", 2, "the only command is convert"),
        ("convert", 2, "required"),
        ("convert {snapshot} out.pt", 2, "ends in .ckpt"),
        ("convert missing out.ckpt", 1, "no checkpoint missing"),
        ("convert {wavenet} out.ckpt", 1, "13 layers a block do not divide"),
        ("convert {snapshot} out.ckpt --layer 3", 2, "there is no option --layer"),
        ("convert {snapshot} there.ckpt", 1, "is there already"),
        ("convert ours.ckpt out.ckpt", 1, "not a snapshot"),
        ("convert {snapshot} out.ckpt", 0, ""),
    ],
)
def test_command(
    words: str,
    status: int,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"network": "sequnet"}, "ours.ckpt")
    Path("there.ckpt").touch()
    names = {"snapshot": SNAPSHOTS / "sequnet_l2_f5_d3_k7", "wavenet": SNAPSHOTS / "wavenet_4x2"}
    assert run_main("convert", convert, words.format(**names).split()) == status
    error = capsys.readouterr().err
    assert said in error and error.count("\n") <= 1
    assert Path("out.ckpt").exists() == (status == 0)


def test_run_as_a_module_it_logs_what_it_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "out.ckpt"
    monkeypatch.setattr(sys, "argv", ["convert", "convert", str(SNAPSHOTS / "sequnet_l2_f5_d3_k7"), str(out)])
    with pytest.raises(SystemExit, match="0"):
        runpy.run_module("sequnet_pl.models.published", run_name="__main__")
    assert f"{out}: step 300; resume with: " in caplog.text
