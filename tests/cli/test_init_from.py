"""--init_from starts a new run with the weights of a trained network."""

import json
from pathlib import Path

import pytest
import torch
import yaml

from sequnet_pl import pretrained
from sequnet_pl.training.export import write_export
from sequnet_pl.training.trained import load_trained

SNAPSHOTS = Path(__file__).parents[1] / "fixtures" / "snapshots"
SEQUNET = SNAPSHOTS / "sequnet_l2_f5_d3_k7" / "checkpoint_300"
WAVENET = SNAPSHOTS / "wavenet_4x2" / "checkpoint_300"
SHORT = (
    "--output_size 256 --batch_size 2 --hop_size 2000 --num_workers 0 --gpus 0 --logger none "
    "--sample_audio.every_n_epochs 0"
)
SHAPE = {"levels": 2, "features": 5, "depth": 3, "kernel_size": 7}


def shape(found):
    return {name: found["model"]["init_args"][name] for name in SHAPE}


@pytest.mark.parametrize("given", [SEQUNET, SEQUNET.parent])  # of a folder the newest
def test_network_and_rate_are_those_of_the_weights_and_all_else_is_published(settings, given):
    found = settings(f"--init_from {given} --lr 1e-4")
    assert (shape(found), found["data"]["sample_rate"]) == (SHAPE, 16_000)
    assert (found["model"]["init_args"]["lr"], found["data"]["batch_size"]) == (1e-4, 16)
    assert found["init_from"] == str(SEQUNET)


def test_a_network_of_the_package_by_its_name(settings, run, tmp_path, monkeypatch):
    monkeypatch.setattr(pretrained, "FOLDER", tmp_path)
    weights, _ = write_export(SEQUNET, tmp_path / "mine", tmp_path)
    found = settings("--init_from mine")
    assert (found["init_from"], shape(found)) == (str(weights), SHAPE)
    assert "did you mean mine?" in run("--init_from mina")[1]
    monkeypatch.chdir(tmp_path / "mine")
    Path("mine").mkdir()  # a path that exists is preferred
    assert "there is no checkpoint in mine" in run("--init_from mine")[1]
    assert "there is no checkpoint gone.ckpt; name another path" in run("--init_from gone.ckpt")[1]


def test_a_config_sets_all_else(settings, tmp_path):
    config = tmp_path / "own.yaml"
    config.write_text("data: {batch_size: 3}\n")
    assert settings(f"--config {config} --init_from {SEQUNET}")["data"]["batch_size"] == 3
    config.write_text(f"init_from: {SEQUNET}\nmodel: {{init_args: {{levels: 9}}}}\n")
    assert shape(settings(f"--config {config}")) == SHAPE


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (f"--init_from {SEQUNET} --levels 11", "has levels 2; leave --levels out"),  # the default
        (f"--init_from {SEQUNET} --sample_rate 8000", "has sample_rate 16000; leave --sample_rate out"),
        (f"--init_from {SEQUNET} --layers 4", "unrecognized arguments: --layers 4"),
        (f"--init_from {SEQUNET} --ckpt_path last", "does not go with --ckpt_path"),
        (f"test --init_from {SEQUNET} --ckpt_path some.ckpt", "--init_from starts a new run"),
        (f"--init_from {WAVENET}", "--layers"),
        (f"--init_from {WAVENET} --layers 3", "3 layers a block do not divide"),
        ("--init_from nowhere.ckpt", "nowhere.ckpt"),
        ("--init_from", "--init_from"),
    ],
)
def test_what_does_not_go_together(run, line, message):
    status, error = run(line)
    assert (status > 0, message in error) == (True, True), error


@pytest.fixture
def train_run(run, tmp_path, audio_folder):
    """Run a command line with a name; return its run folder and what it prints."""

    def train_run(line, name):
        where = f"--audio_dir {audio_folder} --data_dir {tmp_path}/data --log_dir {tmp_path}/logs --name {name}"
        status, text = run(f"{SHORT} {where} {line}")
        assert status == 0, text
        return next((tmp_path / "logs").glob(f"*/{name}")), text

    return train_run


def test_a_run_is_fine_tuned_and_resumes_without_the_file(train_run, run, tmp_path):
    network = "--model sequnet --levels 2 --features 3 --depth 1 --kernel_size 3"
    first, _ = train_run(f"{network} --max_steps 3 --ema 0.5", "first")
    start = tmp_path / "start.ckpt"
    (first / "checkpoints" / "last.ckpt").rename(start)
    before = load_trained(start)
    line = f"--init_from {start} --lr 1e-9 --ckpt_path auto"
    second, text = train_run(f"{line} --max_steps 1", "second")
    assert "starts from the weights of" in text
    content = torch.load(second / "checkpoints" / "last.ckpt", weights_only=True)
    assert content["global_step"] == 1
    for name, tensor in before.network.state_dict().items():  # the averaged ones, and a step that moves nothing
        torch.testing.assert_close(content["state_dict"][f"network.{name}"], tensor, atol=1e-6, rtol=0)
    assert yaml.safe_load((second / "config.yaml").read_text())["init_from"] == str(start)
    facts = json.loads((second / "run.json").read_text())["begun_from"]
    assert facts == {"path": str(start), "step": 3, "weights": before.digest}
    start.unlink()

    train_run(f"{line} --max_steps 2", "second")  # queued again: its checkpoint wins
    assert run(f"--model sequnet --ckpt_path last --max_steps 4 --log_dir {tmp_path}/logs --name second")[0] == 0
    assert torch.load(second / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 4
    assert json.loads((second / "run.json").read_text())["begun_from"] == facts
    assert f"{start}, step 3" in (second / "report.html").read_text(encoding="utf-8")
    card = (second / "checkpoints" / "MODEL.md").read_text(encoding="utf-8")
    assert f"Initialised from the weights of start.ckpt, step 3, hash {before.digest}" in card
    assert str(tmp_path) not in card.split("## Use")[0]


def test_a_published_snapshot_is_fine_tuned_as_it_is(train_run):
    folder, _ = train_run(f"--init_from {WAVENET} --layers 4 --max_steps 1 --lr 1e-9", "published")
    content = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    for name, tensor in load_trained(WAVENET, 4).network.state_dict().items():
        torch.testing.assert_close(content["state_dict"][f"network.{name}"], tensor, atol=1e-6, rtol=0)
