"""What is written as YAML is read back as it was, by each of the readers that there are."""

import shlex

import pytest
import yaml
from jsonargparse import get_loader
from tiny_run import TINY

from sequnet_pl.cli import loader

NUMBERS = [
    "1e3",
    "1E5",
    "12e4567",
    ".5e3",
    "+1e3",
    "1.e3",
    "._",
    "1_000",
    "0x1F",
    "010",
    "1:30",
    "1:30.5",
    "inf",
    ".inf",
]
OTHERS = [
    "yes",
    "null",
    "~",
    "2024-01-02",
    "#1",
    "&x",
    "[x]",
    " x ",
    "a: b",
    "-",
    "=",
    "<<",
    "%a",
    "a\nb",
    "a\x85b",
    "'",
]
TEXTS = [*NUMBERS, *OTHERS, "'", "ünï", "😀", "\udc80x", "😀\udc80", "\ufeffa", "x" * 70 + " " + "y " * 70]


@pytest.mark.parametrize("text", ["", *TEXTS])
def test_texts_are_read_back(text):
    loader.use_yaml()
    settings = {"one": text, "several": [text, "z"]}
    for read in (get_loader("yaml"), loader.load, yaml.safe_load):
        assert read(loader.dump(settings)) == settings


@pytest.mark.parametrize("value", [1e3, 1e20, 1e-7, 1.5, float("inf"), 3, True, None, [1, 2.0]])
def test_what_is_no_text_stays_what_it_is(value):
    for read in (get_loader("yaml"), loader.load, yaml.safe_load):
        assert read(loader.dump({"value": value})) == {"value": value}


def test_a_printed_config_is_a_config(run, settings, tmp_path):
    texts = shlex.join(text for text in TEXTS if not text.startswith("-"))
    status, printed = run(f"--model sequnet --audio_dir {texts} --data_dir 1e3 --snapshot_dir 1E5 --print_config")
    assert status == 0, printed
    (tmp_path / "my.yaml").write_text(printed)
    found = settings(f"--config {tmp_path}/my.yaml")
    assert found["data"]["audio_dir"] == [text for text in TEXTS if not text.startswith("-")]
    assert (found["data"]["data_dir"], found["snapshot_dir"]) == ("1e3", "1E5")


def test_a_run_whose_names_could_be_numbers_goes_on(run, audio_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "1e3").symlink_to(audio_folder)
    where = "--audio_dir 1e3 --name 1E5 --snapshot_dir 12e4567 --data_dir 1e4"
    assert run(f"--model sequnet {TINY} {where} --gpus 0 --logger none")[0] == 0
    status, said = run("--ckpt_path last --max_steps 3 --gpus 0 --logger none")
    assert (status, "in logs/sequnet/1E5" in said) == (0, True), said


@pytest.mark.parametrize("name", ["data", "config"])
def test_a_group_of_its_own_is_read_as_a_whole_config_is(run, settings, tmp_path, name):
    own = tmp_path / "my.yaml"

    def config(text):
        own.write_text(text if name == "data" else f"data: {{{text}}}")
        return f"--model sequnet --{name} {own}"

    assert settings(config("audio_dir: 2024-01-02"))["data"]["audio_dir"] == "2024-01-02"
    assert settings(config("audio_dir: '1e3'"))["data"]["audio_dir"] == "1e3"
    assert settings(config("skip_silence: 1e3"))["data"]["skip_silence"] == 1000
    status, said = run(config("audio_dir: 1e3"))
    assert (status, "--audio_dir 1000.0: expected a text (in quotes)" in said) == (2, True), said


def test_no_other_config_yaml_below_the_log_dir_stops_a_run(settings, tmp_path):
    (tmp_path / "config.yaml").write_text("day: 2024-13-45")
    (tmp_path / "other").mkdir()
    (tmp_path / "other/config.yaml").write_bytes(b"caf\xe9: 1")
    assert settings(f"--model sequnet --ckpt_path auto --log_dir {tmp_path}")["name"] == ""
