"""Flags win over configs, configs over what the project adds by itself."""

import pytest
import yaml
from tiny_run import TINY

MODEL = {"class_path": "sequnet_pl.models.sequnet.SeqUNet", "init_args": {"levels": 5}}
STOPPING = {"class_path": "EarlyStopping", "init_args": {"monitor": "val/accuracy", "patience": 9}}


@pytest.fixture
def config(tmp_path):
    def config(**settings):
        path = tmp_path / "my.yaml"
        path.write_text(yaml.safe_dump({"model": MODEL, **settings}))
        return path

    return config


@pytest.mark.parametrize(
    ("written", "line", "expected"),
    [
        ({"accelerator": "gpu", "devices": 4, "num_nodes": 2}, "", ("gpu", 4, 2)),
        ({"accelerator": "gpu", "devices": 4}, "--gpus 0", ("cpu", 1, 1)),
        ({"accelerator": "cpu", "devices": 2}, "--gpus 0", ("cpu", 2, 1)),
        ({"devices": 4}, "--gpus 0 --trainer.devices 2", ("cpu", "2", 1)),
    ],
)
def test_devices(settings, config, written, line, expected):
    trainer = settings(f"{line} --config {config(trainer=written)}")["trainer"]
    assert (trainer["accelerator"], trainer["devices"], trainer["num_nodes"]) == expected


def test_flags_win_before_and_after_the_config(settings, config):
    path = config(name="mine", log_dir="there", data={"batch_size": 3, "dataset": "builtin"})
    found = settings(f"--levels 7 --name typed --batch_size 4 --audio_dir null --config {path}")
    assert (found["model"]["init_args"]["levels"], found["name"], found["data"]["batch_size"]) == (7, "typed", 4)
    assert (found["log_dir"], found["data"]["audio_dir"]) == ("there", "null")


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("", ("listed.csv", 40)),
        ("--dataset builtin", (None, 40)),
        ("--builtin_takes 7", (None, 7)),
        ("--dataset piano", (None, None)),
        ("--audio_list mine.csv", ("mine.csv", None)),
        ("--recordings mine.txt", (None, None)),
    ],
)
def test_flags_that_choose_recordings_replace_those_of_a_config(settings, config, line, kept):
    path = config(data={"dataset": "builtin", "builtin_takes": 40, "audio_list": "listed.csv"})
    data = settings(f"--config {path} {line}")["data"]
    assert (data["audio_list"], data["builtin_takes"]) == kept


def test_a_callback_of_a_config_is_replaced_not_doubled(settings, config):
    path = config(trainer={"callbacks": [STOPPING, "LearningRateFinder"]})
    callbacks = settings(f"--config {path} --early_stopping 3 --ema 0.9")["trainer"]["callbacks"]
    names = [callback["class_path"].rpartition(".")[2] for callback in callbacks]
    assert names == ["LearningRateFinder", "EarlyStopping", "EMAWeightAveraging"]
    assert callbacks[1]["init_args"]["patience"] == 3
    assert callbacks[2]["init_args"]["decay"] == 0.9


def test_name_and_folder_of_a_config_lead_to_its_run(run, config, audio_folder, tmp_path):
    path = config(name="mine", log_dir=str(tmp_path / "there"), trainer={"accelerator": "cpu"})
    line = f"--config {path} --audio_dir {audio_folder} --data_dir {tmp_path}/data {TINY} --logger none"
    assert run(line)[0] == 0
    assert (tmp_path / "there" / "sequnet" / "mine" / "checkpoints" / "last.ckpt").is_file()
    assert run(f"--config {path} --levels 2 --ckpt_path last --max_steps 3")[0] == 0  # the config's settings win
    status, error = run(line)
    assert (status, "--ckpt_path last resumes it" in error) == (2, True)  # a name that is given is kept
