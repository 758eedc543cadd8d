"""The options of train.py, as --print_config shows them, and the help of the commands."""

import re
from pathlib import Path

import pytest

from sequnet_pl.cli import evaluate_options, sample_options
from sequnet_pl.cli.entry_points import TRAIN_HELP
from sequnet_pl.cli.train_options import help_text
from sequnet_pl.project import CONFIGS

PUBLISHED = (
    "--features 180 --levels 11 --depth 2 --log_dir logs/sequnet --snapshot_dir snapshots/sequnet --model sequnet"
)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("--model=sequnet --gpus=0", {"trainer.accelerator": "cpu"}),
        ("--model sequnet --model.init_args.levels 8", {"model.init_args.levels": 8}),
        ("--model sequnet --channel left --loudness -23", {"data.channel": "left", "data.loudness": -23}),
        ("--model sequnet --seed 7", {"seed_everything": 7, "data.seed": 7}),
        ("--model wavenet --compile --anneal", {"model.init_args.compile": True, "model.init_args.anneal": True}),
        ("--model sequnet --compile false", {"model.init_args.compile": False}),
        (PUBLISHED, {"model.init_args.features": 180, "snapshot_dir": "snapshots/sequnet"}),
    ],
)
def test_short_and_whole_names(settings, line, expected):
    found = settings(line)
    for name, value in expected.items():
        inner = found
        for part in name.split("."):
            inner = inner[part]
        assert inner == value, name


def test_short_names_are_keys_too(settings, tmp_path):
    (tmp_path / "my.yaml").write_text("levels: 8\nbatch_size: 3\n")
    found = settings(f"--model sequnet --config {tmp_path}/my.yaml")
    assert (found["model"]["init_args"]["levels"], found["data"]["batch_size"]) == (8, 3)


def test_configs_of_the_project_are_found_from_any_folder(settings, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert settings("--config configs/demo.yaml") == settings(f"--config {CONFIGS}/demo.yaml")
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "demo.yaml").write_text("model: wavenet")
    assert settings("--config configs/demo.yaml")["model"]["class_path"].endswith("WaveNet")


def test_the_kept_help_is_that_of_the_parser(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "140")
    assert help_text() == Path(TRAIN_HELP).read_text(encoding="utf-8"), "run make help-text"


def printed_help(command, capsys):
    if command == "train":
        return help_text().partition("\nAlso:")[0]
    options = {"sample": sample_options, "evaluate": evaluate_options}[command]
    with pytest.raises(SystemExit):
        options.parse(["--help"])
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "defaults"),
    [
        (
            "train",
            [r"--levels LEVELS .*\(default: 11\)", r"--lr LR .*\(default: 0\.0005\)", r"--keep .*\(default: 1\)"],
        ),
        ("sample", [r"--seed SEED .*\(default: 0\)", r"--temp TEMP .*\(default: 1\.0\)"]),
        ("evaluate", []),
    ],
)
def test_every_option_has_a_description_and_its_default(command, defaults, capsys):
    text = printed_help(command, capsys)
    options = re.split(r"\n  (?=--)", text)[1:]
    assert len(options) > 20
    assert [option for option in options if not re.search(r"\s{2,}\S", option)] == []
    assert "(default: )" not in text
    for default in defaults:
        assert re.search(default, text)
