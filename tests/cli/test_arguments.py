"""The options of train.py, as --print_config shows them, and the errors of those that contradict each other."""

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
        ("--model sequnet --levels 8 --lr 1e-3", {"model.init_args.levels": 8, "model.init_args.lr": 1e-3}),
        ("--model sequnet --lr -1", {"model.init_args.lr": -1}),
        ("--model sequnet --model.init_args.levels 8", {"model.init_args.levels": 8}),
        ("--model wavenet --layers 9 --batch_size 4", {"model.init_args.layers": 9, "data.batch_size": 4}),
        ("--model sequnet --audio_dir F --output_size 64", {"data.audio_dir": "F", "data.output_size": 64}),
        ("--model sequnet --recordings F", {"data.recordings": "F"}),
        ("--dataset builtin --builtin_takes 3 --model sequnet", {"data.builtin_takes": 3}),
        ("--model sequnet --channel left --loudness -23", {"data.channel": "left", "data.loudness": -23}),
        ("--model sequnet --epochs 3 --max_steps 20", {"trainer.max_epochs": 3, "trainer.max_steps": 20}),
        ("--model sequnet --seed 7", {"seed_everything": 7, "data.seed": 7}),
        ("--model wavenet --compile --anneal", {"model.init_args.compile": True, "model.init_args.anneal": True}),
        ("--model sequnet --compile false", {"model.init_args.compile": False}),
        ("--model sequnet --split_time", {"data.split_time": True}),
        ("--model sequnet --trainer.profiler simple", {"trainer.profiler": "simple"}),
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


def test_configs_of_the_project_are_found_from_any_folder(settings, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert settings("--config configs/demo.yaml") == settings(f"--config {CONFIGS}/demo.yaml")
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "demo.yaml").write_text("model: wavenet")
    assert settings("--config configs/demo.yaml")["model"]["class_path"].endswith("WaveNet")


@pytest.mark.parametrize(
    ("config", "question"),
    [
        ("demo.yaml", ""),
        ("configs/sequnet-fast.yaml", "; did you mean configs/sequnet_fast.yaml?"),
        ("configs/../data/README.md", ""),
        ("mine.yaml", ""),
    ],
)
def test_no_other_file_of_the_project_is_a_config(run, tmp_path, monkeypatch, config, question):
    monkeypatch.chdir(tmp_path)
    status, line = run(f"--model sequnet --config {config}")
    assert (status, line) == (
        2,
        f"train.py: error: cannot read the config {config}: No such file or directory{question}",
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "name a model"),
        ("--modle sequnet", "name a model"),
        ("--model sequnt", "there is no model sequnt: choose sequnet or wavenet"),
        ("--model some.Class", "cannot import the model some.Class: No module named .some."),
        ("--model wavenet --features 9", "there is no option --features"),
        ("--model sequnet levels 8", "levels 8"),
        ("--config nowhere.yaml", "cannot read the config nowhere.yaml"),
        (f"--model wavenet --config {CONFIGS / 'demo.yaml'}", "is one of sequnet"),
        ("test", "name what to test"),
        ("eval", "there is no command eval: choose fit, validate or test"),
        ("predict --ckpt_path last", "there is no command predict: .*sample.* generates audio"),
        ("--model sequnet --levels=", "--levels has an empty value"),
        ("--model sequnet --name ''", "--name has an empty value"),
    ],
)
def test_command_lines_that_make_no_sense(run, line, message):
    status, said = run(line)
    assert status == 2
    assert re.search(message, said), said


def test_the_kept_help_is_that_of_the_parser(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "140")
    assert help_text() == Path(TRAIN_HELP).read_text(encoding="utf-8"), "run make help-text"


@pytest.mark.parametrize("parse", [sample_options.parse, evaluate_options.parse])
def test_every_option_has_a_description(parse, capsys):
    with pytest.raises(SystemExit):
        parse(["--help"])
    options = re.split(r"\n  (?=--)", capsys.readouterr().out)[1:]
    assert len(options) > 20
    assert [text for text in options if not re.search(r"\s{2,}\S", text)] == []


def test_every_option_with_a_short_name_has_a_description():
    options = re.split(r"\n  (?=--)", help_text().partition("\nAlso:")[0])[1:]
    assert [text for text in options if not re.search(r"\s{2,}\S", text)] == []


@pytest.mark.parametrize(
    "option", [r"--levels LEVELS .* \(default: 11\)", r"--lr LR .* \(default: 0\.0005\)", "--keep KEEP .*: 1"]
)
def test_help_has_the_defaults(option):
    assert re.search(option, help_text())


def test_help_has_defaults_of_zero_and_of_lists(capsys):
    with pytest.raises(SystemExit):
        sample_options.parse(["--help"])
    text = capsys.readouterr().out
    assert re.search(r"--seed SEED .*\(default: 0\)", text)
    assert re.search(r"--temp TEMP .*\(default: 1\.0\)", text)
    assert "(default: )" not in text
