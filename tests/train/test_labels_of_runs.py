"""Runs with labels: trained, resumed, tested, sampled and started from, by the commands."""

import json
import re
from pathlib import Path

import pytest
import torch
from tiny import TINY
from tones import tone

from sequnet_pl.cli.main import run_main
from sequnet_pl.cli.sample_options import parse
from sequnet_pl.sampling.jobs import sample
from sequnet_pl.training.export import write_export
from sequnet_pl.training.trained import load_trained


@pytest.fixture
def music(tmp_path: Path) -> Path:
    folder = tmp_path / "music"
    for label, pitch in (("bach", 220), ("liszt", 880)):
        for number in range(2):
            tone(folder / "train" / label / f"{number}.wav", 0.4, pitch * (1 + number / 10))
        tone(folder / "val" / label / "2.wav", 0.2, pitch)
        tone(folder / "test" / label / "3.wav", 0.2, pitch)
    tone(folder / "test" / "ravel" / "4.wav", 0.2)
    return folder


def words(music, steps, model="sequnet"):
    return (
        f"--model {model} {TINY[model]} --audio_dir {music} --labels folder --output_size 256 --batch_size 2 "
        f"--hop_size 1000 --lr 0.01 --max_steps {steps} --name run"
    )


def last(tmp_path):
    return tmp_path / "logs" / "sequnet" / "run" / "checkpoints" / "last.ckpt"


def drawn(tmp_path, line):
    command = f"--ckpt_path {last(tmp_path)} --gpus 0 --threads 1 --gen_samples 60 --lead_in 0 {line}"
    return run_main("sample.py", lambda argv: sample(parse(argv)), command.split())


def test_a_run_with_labels_from_training_to_sound(run, music, tmp_path, caplog):
    status, text = run(words(music, 40))
    assert status == 0, text
    folder = tmp_path / "logs" / "sequnet" / "run"
    trained = load_trained(last(tmp_path))
    assert trained.labels == ("bach", "liszt")
    assert trained.network.input_layer.label_rows.abs().amax(1).min() > 0  # that of no label, too
    status, out = run(f"test --ckpt_path {last(tmp_path)}")
    assert status == 0, out
    assert "test: 1 of 3 recordings have no label of the network (ravel)" in caplog.text
    scores = json.loads((folder / "test.json").read_text())
    assert {one["name"]: one["recordings"] for one in scores["labels"]} == {"": 1, "bach": 1, "liszt": 1}
    total = sum(one["samples"] * one["bits_per_sample"] for one in scores["labels"])
    assert total / scores["samples"] == pytest.approx(scores["test/bits_per_sample"])
    found = scores["recognition"]
    assert (found["recordings"], found["labels"]) == (2, 2)
    bits = {one["name"].split("/")[0]: one["bits_per_sample"] for one in scores["recordings"]}
    assert found["bits_per_sample"] == pytest.approx((bits["bach"] + bits["liszt"]) / 2)
    assert "of 2 labels the right one takes the fewest bits" in " ".join(out.split())
    assert "<td>bach</td>" in (folder / "test.html").read_text()

    assert drawn(tmp_path, f"--label liszt all bach --output_dir {tmp_path}/clips --temp 1 0.5") == 0
    clips = json.loads((tmp_path / "clips" / "clips.json").read_text())["clips"]
    assert [clip["label"] for clip in clips] == ["bach", "bach", "liszt", "liszt"]
    page = (tmp_path / "clips" / "index.html").read_text()
    assert len(re.findall(r"<h2>.*label (?:bach|liszt)</h2>", page)) == 2
    again = clips[2]["command"].partition("sample.py ")[2]
    assert "--label liszt" in again
    sample(parse([*again.split(), "--output_dir", str(tmp_path / "again")]))
    (made,) = (tmp_path / "again").glob("*.wav")
    assert made.read_bytes() == (tmp_path / "clips" / clips[2]["wav"]).read_bytes()
    sample(parse(["--continue", str(made), "--gen_samples", "20", "--output_dir", str(tmp_path / "longer")]))
    (clip,) = json.loads((tmp_path / "longer" / "clips.json").read_text())["clips"]
    assert clip["label"] == "liszt"


def test_an_export_has_the_labels_and_refuses_others(run, music, tmp_path, capfd):
    run(words(music, 2))
    weights, _ = write_export(last(tmp_path), tmp_path / "given", tmp_path / "logs")
    assert "dataset" not in load_trained(weights).data  # it was not trained on it
    assert load_trained(weights).labels == ("bach", "liszt")
    assert "Labels, for `sample.py --label`: bach, liszt." in (tmp_path / "given" / "MODEL.md").read_text()
    for line, message in (
        ("--label bahc", "has no label bahc: choose bach, liszt; did you mean bach?"),
        ("--label all --stdout", "--stdout takes one clip"),
    ):
        assert drawn(tmp_path, line) == 2
        assert message in capfd.readouterr().err


def test_a_network_without_labels(run, music, tmp_path, capfd):
    run(words(music, 1).replace("--labels folder ", ""))
    assert drawn(tmp_path, "--label bach") == 2
    assert "has no labels; train with --labels folder" in capfd.readouterr().err
    assert drawn(tmp_path, "") == 0
    status, text = run(f"--ckpt_path {last(tmp_path)} --labels folder --max_steps 2")
    assert status == 2
    assert "has no labels: leave --labels out" in text


def test_a_resumed_run_equals_the_unbroken_one(run, music, tmp_path):
    run(words(music, 4))
    whole = torch.load(last(tmp_path), weights_only=True)["state_dict"]
    last(tmp_path).rename(tmp_path / "whole.ckpt")
    run(words(music, 2).replace("--name run", "--name other"))
    other = tmp_path / "logs" / "sequnet" / "other" / "checkpoints" / "last.ckpt"
    (music / "train" / "aaron").mkdir()
    status, text = run(f"--ckpt_path {other} --max_steps 4")
    assert status == 0, text
    resumed = torch.load(other, weights_only=True)["state_dict"]
    assert all(torch.equal(resumed[name], value) for name, value in whole.items())


@pytest.mark.parametrize(
    ("before", "after"), [("", "--labels folder "), ("--labels folder ", ""), ("--labels folder ", "--labels folder ")]
)
def test_a_run_starts_from_weights_with_and_without_labels(run, music, tmp_path, before, after):
    run(words(music, 2).replace("--labels folder ", before))
    (music / "train" / "liszt").rename(music / "train" / "aaron")  # another label takes its number
    start = f"--init_from {last(tmp_path)} --audio_dir {music} {after}--lr 1e-12 --max_steps 1 --name new"
    status, out = run(f"{start} --output_size 256 --batch_size 1")
    assert status == 0, out
    kept = "labels of the checkpoint that are not kept: " + ("liszt" if after else "bach, liszt")
    assert (kept in out) == bool(before)
    old = load_trained(last(tmp_path)).network
    new = load_trained(tmp_path / "logs" / "sequnet" / "new" / "checkpoints" / "last.ckpt").network
    assert new.label_count == (2 if after else 0)
    codes = torch.randint(256, (1, old.window(1).inputs))
    with torch.no_grad():
        torch.testing.assert_close(new(codes), old(codes), rtol=0, atol=1e-4)
        if after:  # aaron, bach
            unknown, bach = (new(codes, torch.tensor([number])) for number in (1, 2))
            torch.testing.assert_close(unknown, old(codes), rtol=0, atol=1e-4)
            known = old(codes, torch.tensor([1])) if before else old(codes)
            torch.testing.assert_close(bach, known, rtol=0, atol=1e-4)
