"""How runs start: in folders of their own, or with one line and without a trace."""

import time
from datetime import datetime

import pytest
import torch
import yaml
from short_runs import line, train_acting

from sequnet_pl.cli.main import run_main
from sequnet_pl.cli.train import train
from sequnet_pl.training import run_dir as run_name


def run(words):
    return run_main("train.py", train, words.split())


def run_at_one_time(words):
    run_name.datetime = type("Clock", (datetime,), {"now": classmethod(lambda _: datetime.fromtimestamp(1e9))})
    return run(words)


def test_two_runs_of_the_same_second(tmp_path, audio_folder, group):
    words = line(tmp_path, audio_folder, "--num_workers 0")
    runs = [group(1, run_at_one_time, words) for _ in range(2)]
    assert [each.wait()[0] for each in runs] == [[0], [0]]
    first, second = sorted((tmp_path / "logs" / "sequnet").iterdir())
    assert second.name == f"{first.name}-2"
    for folder in (first, second):
        assert (folder / "checkpoints" / "last.ckpt").is_file()
        rows = (folder / "metrics.csv").read_text().splitlines()
        assert len(rows) == len(set(rows)) > 3


def test_a_run_in_progress_is_not_resumed(tmp_path, audio_folder, group):
    words = line(tmp_path, audio_folder, "--num_workers 0 --name mine --last.every_n_steps 1")
    first = group(1, slow, words)
    last = tmp_path / "logs" / "sequnet" / "mine" / "checkpoints" / "last.ckpt"
    while not last.exists() and first.processes[0].is_alive():
        time.sleep(0.1)
    statuses, logs = group(1, run, f"--ckpt_path {last} --log_dir {tmp_path}/logs").wait()
    assert statuses == [2], logs
    assert "mine is in use by another run" in logs[0]


def slow(words):
    return train_acting(words, lambda: time.sleep(600), 3)


@pytest.fixture
def here(run_train, tmp_path, audio_folder):
    """Run train.py in this process; return its exit status."""
    return lambda more: run_train(line(tmp_path, audio_folder, f"--num_workers 0 {more}"))[0]


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ("--levels 0 --snapshot_dir {}/far/snapshots", 2),
        ("--snapshot_dir {}/far/snapshots --audio_dir {}/fake", 1),
        ("--snapshot_dir {}/kept --audio_dir {}/fake", 1),
    ],
)
def test_a_start_that_fails_leaves_no_folder(here, tmp_path, more, status):
    (tmp_path / "fake").mkdir()
    (tmp_path / "fake" / "0.wav").write_text("this is not audio")
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "MODEL.md").write_text("x")
    assert here("--name mine " + more.replace("{}", str(tmp_path))) == status
    assert not (tmp_path / "logs").exists()
    assert not (tmp_path / "far").exists()
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["MODEL.md"]


@pytest.mark.parametrize(
    ("more", "missing"),
    [
        ("--audio_dir {}/nowhere", "nowhere"),
        ("--audio_dir {}/empty", "empty"),
        ("--audio_list {}/list.csv", "absent.wav"),
        ("--recordings {}/nowhere.txt", "nowhere.txt"),
    ],
)
def test_recordings_are_checked_before_a_network_is_built(tmp_path, monkeypatch, capfd, more, missing):
    monkeypatch.setattr("sequnet_pl.training.run.module_class", lambda *_: pytest.fail("a network is built"))
    (tmp_path / "empty").mkdir()
    (tmp_path / "list.csv").write_text("path,split\nabsent.wav,train\n")
    words = f"--model sequnet --gpus 0 --logger none --log_dir {tmp_path}/logs --data_dir {tmp_path}/data {more}"
    assert run(words.replace("{}", str(tmp_path))) == 1
    assert str(tmp_path / missing) in capfd.readouterr().err


def test_threads_are_a_setting_of_the_run(here, tmp_path, caplog):
    assert here("--name mine --threads 2 --max_steps 2") == 0
    config = tmp_path / "logs" / "sequnet" / "mine" / "config.yaml"
    assert (torch.get_num_threads(), yaml.safe_load(config.read_text())["threads"]) == (2, 2)
    torch.set_num_threads(1)
    for more, threads in (("--max_steps 3", 2), ("--max_steps 4 --threads 1", 1)):
        assert run(f"--ckpt_path last --log_dir {tmp_path}/logs {more}") == 0
        assert torch.get_num_threads() == threads
        assert ("threads 1 instead of 2" in caplog.text) == (threads == 1)
