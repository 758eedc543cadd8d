"""Several folders and their weights on the command line and in YAML; runs of them, and the split they keep."""

import json
import shlex
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from tiny_run import TINY

from sequnet_pl.training.trained import load_trained


def noise(path: Path, seconds: float, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.random.default_rng(seed).uniform(-0.5, 0.5, round(seconds * 8000)), 8000)


@pytest.mark.parametrize(
    ("written", "line", "expected"),
    [
        ("[a, b]", "", (["a", "b"], [3.0, 1.0])),
        ("['null', '#1']", "", (["null", "#1"], [3.0, 1.0])),
        ("a", "--audio_dir b c", (["b", "c"], [3.0, 1.0])),
        ("[a, b]", "--audio_weights 1 2", (["a", "b"], [1.0, 2.0])),
        ("[a, b]", "--dataset builtin", (None, None)),
    ],
)
def test_yaml_takes_one_or_several_and_flags_win(settings, tmp_path: Path, written: str, line: str, expected) -> None:
    (tmp_path / "my.yaml").write_text(f"data:\n  audio_dir: {written}\n  audio_weights: [3, 1]\n")
    data = settings(f"--model sequnet --config {tmp_path}/my.yaml {line}")["data"]
    assert (data["audio_dir"], data["audio_weights"]) == expected


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--audio_dir {0} {1} --audio_weights 3", "--audio_weights has 1 for 2 folders of --audio_dir: give one"),
        ("--dataset builtin --audio_weights 3 1", "--audio_weights has 2 for 0 folders"),
        ("--audio_dir {0} {1} --audio_weights 3 0", "--audio_weights has 0, but a sampling weight is a number above 0"),
        ("--audio_dir {0} {1} --audio_weights 3 much", "much"),
        ("--audio_dir {0} {0}", "or lies in it; name each folder once"),
        ("--audio_dir {0} ''", "has an empty value"),
        ("--audio_dir {0} {1} --audio_list x.csv", "each choose the recordings"),
        ("--audio_dir {0} {1} --split_time false true", "unrecognized arguments: true"),
        ("--config {0}/../empty.yaml", "audio_dir is empty"),
    ],
)
def test_what_makes_no_sense_is_one_line_with_exit_2(run, tmp_path: Path, line: str, message: str) -> None:
    noise(tmp_path / "long/a.wav", 20, 0)
    for number in (1, 2, 3):
        noise(tmp_path / f"short/{number}.wav", 0.5, number)
    (tmp_path / "empty.yaml").write_text("data: {audio_dir: ['']}")
    folders = [shlex.quote(str(tmp_path / name)) for name in ("long", "short")]
    status, error = run(f"--model sequnet {TINY} --log_dir {tmp_path}/logs {line.format(*folders)}")
    assert (status, message in error) == (2, True), error
    assert not (tmp_path / "logs").exists()


def test_a_resumed_run_keeps_its_split(run, tmp_path: Path) -> None:
    """Also one of a version that did not split files in time, and where there are more files than before."""
    noise(tmp_path / "music/a.wav", 20, 0)
    where = f"--log_dir {tmp_path}/logs --data_dir {tmp_path}/data --audio_dir {tmp_path}/music"
    start = f"--model sequnet {TINY} --sample_rate 8000 --logger none --gpus 0 {where}"
    checkpoints = {name: tmp_path / f"logs/sequnet/{name}/checkpoints/last.ckpt" for name in ("cut", "whole")}

    def recordings(name: str) -> list[int]:
        facts = json.loads((tmp_path / f"logs/sequnet/{name}/run.json").read_text())["data"]["splits"]
        return [split["recordings"] for split in facts.values()]

    def resume(name: str, steps: int) -> dict:
        assert run(f"--ckpt_path {checkpoints[name]} --max_steps {steps} --trainer.log_every_n_steps 1")[0] == 0
        return torch.load(checkpoints[name], weights_only=True)["AudioDataModule"]

    assert run(f"{start} --name cut")[0] == 0
    assert run(f"{start} --name whole --split_time false")[0] == 0
    assert (recordings("cut"), recordings("whole")) == ([1, 1, 1], [1, 0, 0])

    content = torch.load(checkpoints["whole"], weights_only=True)  # as of before files were split in time
    del content["AudioDataModule"]["split_time"], content["datamodule_hyper_parameters"]["split_time"]
    torch.save(content, checkpoints["whole"])
    config = tmp_path / "logs/sequnet/whole/config.yaml"
    config.write_text("".join(row for row in config.read_text().splitlines(True) if "split_time" not in row))
    for name, split_time, expected in (("cut", None, [1, 1, 1]), ("whole", False, [1, 0, 0])):
        assert load_trained(checkpoints[name]).data["split_time"] is split_time
        before = torch.load(checkpoints[name], weights_only=True)["AudioDataModule"]
        after = resume(name, 3)
        assert (recordings(name), after["split_time"]) == (expected, name == "cut")
        assert before["fingerprint"] == after["fingerprint"]

    for number in (1, 2):
        noise(tmp_path / f"music/{number}.wav", 20, number)
    assert resume("cut", 4)["split_time"] is True
    assert recordings("cut") == [3, 3, 3]
