"""Settings in YAML files: read back as they were printed, each key once."""

import shlex

NAMES = ["1e3", "1E5", "0x1F", "1:30", "inf", "yes", "null", "~", "2024-01-02", "#1", "&x", "[x]", "a: b", "%a", "ünï"]


def test_a_printed_config_is_a_config(run, settings, tmp_path):
    status, printed = run(
        f"--model sequnet --audio_dir {shlex.join(NAMES)} --data_dir 1e3 --snapshot_dir 1E5 --print_config"
    )
    assert status == 0, printed
    (tmp_path / "my.yaml").write_text(printed)
    found = settings(f"--config {tmp_path}/my.yaml")
    assert found["data"]["audio_dir"] == NAMES
    assert (found["data"]["data_dir"], found["snapshot_dir"]) == ("1e3", "1E5")


def test_short_names_are_keys_too(settings, tmp_path):
    (tmp_path / "my.yaml").write_text("levels: 8\nbatch_size: 3\n")
    found = settings(f"--model sequnet --config {tmp_path}/my.yaml")
    assert (found["model"]["init_args"]["levels"], found["data"]["batch_size"]) == (8, 3)


def test_a_key_that_occurs_twice_is_an_error(run, tmp_path):
    (tmp_path / "my.yaml").write_text("trainer:\n  max_steps: 2\nname: a\ntrainer:\n  max_epochs: 2\n")
    status, said = run(f"--model sequnet --config {tmp_path}/my.yaml")
    assert (status, "the key trainer occurs twice" in said, "line 4" in said) == (2, True, True), said


def test_no_other_config_yaml_below_the_log_dir_stops_a_run(settings, tmp_path):
    (tmp_path / "config.yaml").write_text("day: 2024-13-45")
    (tmp_path / "other").mkdir()
    (tmp_path / "other/config.yaml").write_bytes(b"caf\xe9: 1")
    assert settings(f"--model sequnet --ckpt_path auto --log_dir {tmp_path}")["name"] == ""


def test_a_wrong_value_is_one_line_with_the_name_of_the_file(run, tmp_path):
    (tmp_path / "my.yaml").write_text("data: {batch_size: many}\n")
    status, said = run(f"--model sequnet --config {tmp_path}/my.yaml")
    assert (status, "my.yaml: Parser key \"data.batch_size\": Expected a <class 'int'>. Got value: many" in said) == (
        2,
        True,
    ), said
