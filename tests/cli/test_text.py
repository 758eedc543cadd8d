"""A text on the command line is taken literally, under every name of its option."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tiny_run import TINY

from sequnet_pl.cli.sample_options import parse
from sequnet_pl.errors import UsageError

ROOT = Path(__file__).parents[2]
TEXTS = ["null", "#1 hits", "&x", "1e3", "0x1F", "1:30", "inf", "~", "true", "[a]", "{b: 1}", "a: b", "-", "x=y", "%a"]


@pytest.mark.parametrize(("written", "expected"), [("null", None), ("", None), ("'null'", "null")])
def test_null_in_yaml_is_nothing_and_in_quotes_a_text(settings, tmp_path, written, expected):
    (tmp_path / "my.yaml").write_text(f"data:\n  audio_dir: {written}\n")
    assert settings(f"--model sequnet --config {tmp_path}/my.yaml")["data"]["audio_dir"] == expected


def test_sample_py_takes_texts_too():
    assert [parse(["--conditional", "1", "--audio_dir", text]).audio_dir for text in TEXTS] == TEXTS
    assert parse(["--prompt", "null", "#1.wav"]).prompt == ["null", "#1.wav"]
    for line in (["--audio_dir", ""], ["--prompt", "a.wav", ""], ["--output_dir="]):
        with pytest.raises(UsageError, match=f"{line[0].rstrip('=')} has an empty value"):
            parse(line)


def test_two_processes_agree_on_a_text_and_a_default_name(settings, audio_folder, tmp_path):
    (tmp_path / "#1 hits").symlink_to(audio_folder)
    line = f"--model sequnet {TINY} --gpus 0 --trainer.devices 2 --logger none --log_dir null --data_dir {tmp_path}"
    command = [sys.executable, str(ROOT / "train.py"), *line.split(), "--audio_dir", "#1 hits"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "null" / "sequnet").iterdir()
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert (config["name"], config["data"]["audio_dir"], config["log_dir"]) == ("", "#1 hits", "null")
    assert json.loads((folder / "run.json").read_text())["network"] == "sequnet"
    for again in (f"--config '{folder}/config.yaml'", f"--ckpt_path '{folder}/checkpoints/last.ckpt'"):
        found = settings(again)
        assert (found["name"], found["data"]["audio_dir"], found["log_dir"]) == ("", "#1 hits", "null")


def test_a_printed_config_is_a_config(run, settings, tmp_path):
    line = f"--model sequnet --audio_dir {shlex.join(TEXTS)} --data_dir 1e3 --snapshot_dir 1E5"
    status, printed = run(f"{line} --print_config")
    assert status == 0, printed
    (tmp_path / "my.yaml").write_text(printed)
    found = settings(f"--config {tmp_path}/my.yaml")
    assert found["data"]["audio_dir"] == TEXTS
    assert (found["data"]["data_dir"], found["snapshot_dir"]) == ("1e3", "1E5")


def test_no_other_config_yaml_below_the_log_dir_stops_a_run(settings, tmp_path):
    (tmp_path / "config.yaml").write_text("day: 2024-13-45")
    (tmp_path / "other").mkdir()
    (tmp_path / "other/config.yaml").write_bytes(b"caf\xe9: 1")
    assert settings(f"--model sequnet --ckpt_path auto --log_dir {tmp_path}")["name"] == ""
