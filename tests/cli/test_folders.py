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

ROOT = Path(__file__).parents[2]


def noise(path: Path, seconds: float, seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.random.default_rng(seed).uniform(-0.5, 0.5, round(seconds * 8000)), 8000)
    return path


@pytest.fixture
def folders(tmp_path: Path) -> list[str]:
    """One long file, and three short ones."""
    noise(tmp_path / "long/a.wav", 20, 0)
    for number in (1, 2, 3):
        noise(tmp_path / f"short/{number}.wav", 0.5, number)
    return [str(tmp_path / "long"), str(tmp_path / "short")]


@pytest.mark.parametrize(
    ("written", "line", "expected"),
    [
        ("[a, b]", "", (["a", "b"], [3.0, 1.0])),
        ("a", "", ("a", [3.0, 1.0])),
        ("['null', '#1']", "", (["null", "#1"], [3.0, 1.0])),
        ("[a, b]", "--audio_dir c", ("c", [3.0, 1.0])),
        ("a", "--audio_dir b c", (["b", "c"], [3.0, 1.0])),
        ("[a, b]", "--audio_weights 1 2", (["a", "b"], [1.0, 2.0])),
        ("[a, b]", "--dataset builtin", (None, None)),
    ],
)
def test_yaml_takes_one_or_several_and_flags_win(settings, tmp_path: Path, written: str, line: str, expected) -> None:
    (tmp_path / "my.yaml").write_text(f"data:\n  audio_dir: {written}\n  audio_weights: [3, 1]\n")
    command = f"--model sequnet --config {tmp_path}/my.yaml {line}"
    data = settings(command)["data"]
    assert (data["audio_dir"], data["audio_weights"]) == expected


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--audio_dir {0} {1} --audio_weights 3", "--audio_weights has 1 for 2 folders of --audio_dir: give one"),
        ("--audio_dir {0} --audio_weights 3 1", "--audio_weights has 2 for 1 folders"),
        ("--dataset builtin --audio_weights 3 1", "--audio_weights has 2 for 0 folders"),
        ("--audio_dir {0} {1} --audio_weights 3 0", "--audio_weights has 0, but a sampling weight is a number above 0"),
        (
            "--audio_dir {0} {1} --audio_weights 3 -1",
            "--audio_weights has -1, but a sampling weight is a number above 0",
        ),
        ("--audio_dir {0} {1} --audio_weights nan 1", "nan"),
        ("--audio_dir {0} {1} --audio_weights 3 much", "much"),
        ("--audio_dir {0} {1} --audio_weights", "--audio_weights: expected at least one argument"),
        ("--audio_dir {0} {0}", "or lies in it; name each folder once"),
        ("--audio_dir {0} ''", "has an empty value"),
        ("--audio_dir {0} {1} --audio_list x.csv", "each choose the recordings"),
        ("--audio_dir {0} {1} --split_time false true", "unrecognized arguments: true"),
        ("--audio_dir {0} --levels 2 {1}", "unrecognized arguments: "),
        ("--config {0}/../empty.yaml", "audio_dir is empty"),
    ],
)
def test_what_makes_no_sense_is_one_line_with_exit_2(run, folders: list[str], tmp_path: Path, line: str, said: str):
    (tmp_path / "empty.yaml").write_text("data: {audio_dir: ['']}")
    status, line = run(f"--model sequnet {TINY} --log_dir {tmp_path}/logs {line.format(*map(shlex.quote, folders))}")
    assert (status, said in line) == (2, True), line
    assert not (tmp_path / "logs").exists() or not list((tmp_path / "logs").rglob("*.*"))


def test_a_run_goes_on_with_the_split_it_had(run, folders: list[str], tmp_path: Path) -> None:
    """Also one of a version that did not cut, and where files have come meanwhile."""
    where = f"--log_dir {tmp_path}/logs --data_dir {tmp_path}/data"
    begin = f"--model sequnet {TINY} --sample_rate 8000 --logger none --gpus 0 {where} --audio_dir {folders[0]}"
    assert run(f"{begin} --name cut")[0] == 0
    assert run(f"{begin} --name whole --split_time false")[0] == 0

    def counts(name: str) -> list[int]:
        facts = json.loads((tmp_path / f"logs/sequnet/{name}/run.json").read_text())["data"]["splits"]
        return [split["recordings"] for split in facts.values()]

    assert (counts("cut"), counts("whole")) == ([1, 1, 1], [1, 0, 0])
    last = {name: tmp_path / f"logs/sequnet/{name}/checkpoints/last.ckpt" for name in ("cut", "whole")}
    content = torch.load(last["whole"], weights_only=True)  # as of before there were cuts
    del content["AudioDataModule"]["split_time"], content["datamodule_hyper_parameters"]["split_time"]
    torch.save(content, last["whole"])
    config = tmp_path / "logs/sequnet/whole/config.yaml"
    config.write_text("".join(row for row in config.read_text().splitlines(True) if "split_time" not in row))
    assert {name: load_trained(path).data["split_time"] for name, path in last.items()} == {"cut": None, "whole": False}
    for step in (3, 4):
        for name, expected in (("cut", [step - 2] * 3), ("whole", [1, 0, 0])):
            if name == "whole" and step == 4:
                continue  # three files are others than one, whatever the split
            before = torch.load(last[name], weights_only=True)["AudioDataModule"]
            assert run(f"--ckpt_path {last[name]} --max_steps {step} --trainer.log_every_n_steps 1")[0] == 0
            after = torch.load(last[name], weights_only=True)["AudioDataModule"]
            assert (counts(name), after["split_time"]) == (expected if step == 3 else [3] * 3, name == "cut")
            assert step == 4 or before["fingerprint"] == after["fingerprint"]
        for number in (1, 2):
            noise(Path(folders[0]) / f"{number}.wav", 20, number)
